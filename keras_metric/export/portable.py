"""What the conversions to other formats share: the way to a TensorFlow function, and the check of what comes out."""

import contextlib
import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from keras import tree

from keras_metric import checks
from keras_metric.export import made_up, sources, specs, verification, writing
from keras_metric.models import encoders

ROWS = (1, 7)  # batches that every converted model must take


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A converted encoder; printing it tells it in one line.

    Attributes:
        path: the file.
        bytes: its size.
        difference: largest difference between its embeddings and those of the encoder.
        cosine: smallest cosine between its embedding of a row and the encoder's.
        rows: rows that were compared.
    """

    path: Path
    bytes: int
    difference: float
    cosine: float
    rows: int

    def __str__(self):
        return (
            f"{self.path}: {self.bytes:,} bytes; embeddings of {self.rows} rows differ by {self.difference:.1e} at "
            f"most from the encoder's, their cosine with those is {self.cosine:.6f} at least"
        )


class Source:
    """An encoder on its way into another format.

    Attributes:
        folder: a SavedModel of it, with the signature `embed`.
        names: of its inputs.
        arrays: rows to compare with, one array for each input.
    """

    def __init__(self, encoder, inputs, owner, folder):
        self.owner = owner
        self.encoder = sources.encoder_of(encoder, owner)
        nest = specs.named(encoders.input_signature(self.encoder, owner))
        self.given = inputs is not None
        if inputs is None:
            inputs = tree.map_structure(_made_up, nest)
        self.arrays = specs.arrays_like(nest, inputs, "inputs", owner)
        self.names = [spec.name for spec in tree.flatten(nest)]
        self.nest = nest
        self.folder = writing.saved_model(self.encoder, folder)

    def signature(self):
        """The loaded SavedModel, which must stay alive, and its function `embed`."""
        loaded = tf.saved_model.load(str(self.folder))
        return loaded, loaded.signatures["embed"]

    def compared(self, path, run, tolerance):
        """`Conversion` of a file that `run`, from dict of arrays to embeddings, runs.

        Raises:
            VerificationError: if the largest difference is more than `tolerance` times the largest entry.
        """
        expected = verification.embed(self.encoder, tree.pack_sequence_as(self.nest, self.arrays))
        count = len(expected)
        found = np.concatenate(
            [
                self._run(run, np.arange(start, min(start + 32, count)))
                for start in range(0, count, 32)
            ]
        )
        for rows in ROWS:
            again = self._run(run, np.arange(rows) % count)
            if again.shape != (rows, expected.shape[1]):
                self._fail(path, f"gives shape {again.shape} for {rows} rows")
        gap = float(np.max(np.nan_to_num(np.abs(found - expected), nan=np.inf)))
        if gap > tolerance * max(float(np.max(np.abs(expected))), 1e-12):
            self._fail(
                path,
                f"gives embeddings that differ by {gap:.3g}; tolerance is {tolerance:g} of the largest",
            )
        return Conversion(path, path.stat().st_size, gap, _smallest_cosine(found, expected), count)

    def _run(self, run, rows):
        return run({name: x[rows] for name, x in zip(self.names, self.arrays, strict=True)})

    def _fail(self, path, why):
        raise verification.VerificationError(f"{self.owner}: {path.name} {why}.")


@contextlib.contextmanager
def converted(encoder, inputs, path, ending, overwrite, owner):
    """Gives `(Source, file to write)`; the file takes its place at `path` if the block ends well."""
    path = Path(path)
    if path.suffix != ending:
        raise ValueError(f"`path` of {owner} must end in {ending}. Received: {str(path)!r}.")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"`path` of {owner} must be new, or give overwrite=True. Received: {str(path)!r}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as aside:
        unfinished = Path(aside) / path.name
        yield Source(encoder, inputs, owner, Path(aside) / "saved_model"), unfinished
        os.replace(unfinished, path)


def checked_tolerance(tolerance, default, owner):
    """A number >= 0."""
    return (
        default if tolerance is None else checks.number(tolerance, "tolerance", owner, at_least=0)
    )


def _made_up(spec):
    about = {"shape": spec.shape, "dtype": spec.dtype.name}
    return made_up.made_up_input(spec.name, about, 32, np.random.default_rng(0))


def _smallest_cosine(a, b):
    a, b = a.astype("float64"), b.astype("float64")
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    products = np.einsum("nd,nd->n", a, b)
    return float(
        np.min(np.divide(products, lengths, out=np.ones_like(products), where=lengths > 0))
    )
