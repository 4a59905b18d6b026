"""The fixed one-shot episodes of Omniglot: 20 runs of 20-way classification within an alphabet."""

import io
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_metric.extras import require
from keras_metric.models.encoders import encoder_of


class OmniglotRuns(NamedTuple):
    """Drawings of all runs, as uint8 grey levels: ink is 0, paper 255.

    support: (20, 20, 105, 105, 1) one drawing of each character, by run.
    queries: (20, 20, 105, 105, 1) one more of each, by another person, in another order.
    answers: (20, 20) which character of its run, 0 … 19, each query is.
    """

    support: np.ndarray
    queries: np.ndarray
    answers: np.ndarray

    def embedded(self, encoder, preprocessing=None):
        """`(support, queries, answers)` for `one_shot`, with embeddings (20, 20, D) in place of drawings.

            evaluation.one_shot(*runs.embedded(encoder, lambda images: 1 - images / 255))

        Args:
            encoder: Keras model, or its layer `encoder` if it has one, or a function, from images (N, …) to embeddings
                (N, D).
            preprocessing: function of the images (800, 105, 105, 1) that makes what the encoder takes.
        """
        images = np.concatenate([self.support, self.queries]).reshape(-1, *self.support.shape[2:])
        images = images if preprocessing is None else preprocessing(images)
        encoder = encoder_of(encoder)
        if hasattr(encoder, "predict"):
            embeddings = encoder.predict(images, verbose=0)
        else:
            embeddings = ops.convert_to_numpy(encoder(images))
        if embeddings.ndim != 2 or len(embeddings) != len(images):
            raise ValueError(
                f"`encoder` of embedded must give embeddings of shape ({len(images)}, dimensions). "
                f"Received: shape {embeddings.shape}."
            )
        support, queries = embeddings.reshape(2, *self.support.shape[:2], -1)
        return support, queries, self.answers


def omniglot_runs(path):
    """Reads `all_runs.zip` of the Omniglot repository (python/one-shot-classification).

        runs = evaluation.omniglot_runs("all_runs.zip")
        result = evaluation.one_shot(*runs.embedded(encoder, lambda images: 1 - images / 255))
        1 - result["accuracy"]   # the error rate that papers report

    Args:
        path: the zip file, or the folder that it was unpacked to.

    Returns:
        `OmniglotRuns` (`support`, `queries`, `answers`), runs in the order of their names.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not hold runs, or files of a run are missing or broken.

    References:
        Lake, Salakhutdinov and Tenenbaum, "Human-level concept learning through probabilistic program induction",
        Science 2015. People err at 4.5 %; the modified Hausdorff distance of the repository's demo at 38.8 %.
    """
    read, names = _files(Path(path))
    found = (re.search(r"(.*run\d+)/class_labels\.txt$", name) for name in names)
    runs = sorted(match[1] for match in found if match)
    if not runs:
        raise ValueError(
            f"`path` of omniglot_runs must hold folders run01, run02, … Received: {str(path)!r}."
        )
    support, queries, answers = zip(*(_run(read, run) for run in runs), strict=True)
    try:
        return OmniglotRuns(np.stack(support), np.stack(queries), np.stack(answers))
    except ValueError as error:
        raise ValueError(
            f"Runs in `path` of omniglot_runs must have as many drawings of one size. Received: {str(path)!r}."
        ) from error


def _files(path):
    """Function from a name to bytes, and all names."""
    if path.is_dir():
        found = {f.relative_to(path).as_posix(): f for f in path.rglob("*") if f.is_file()}
        return lambda name: found[name].read_bytes(), list(found)
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"`path` of omniglot_runs must be a zip file or a folder. Received: {str(path)!r}."
        ) from error
    return archive.read, archive.namelist()


def _run(read, run):
    """Each line of class_labels.txt names a test drawing and the training drawing of its character."""
    try:
        text = read(f"{run}/class_labels.txt").decode()
        lines = [line.split() for line in text.splitlines() if line.strip()]
        tests, classes = zip(*lines, strict=True)
        order = sorted(set(classes))
        folder = run.rpartition("/")[0]
        base = f"{folder}/" if folder else ""
        support = np.stack([_drawing(read(base + name)) for name in order])
        queries = np.stack([_drawing(read(base + name)) for name in tests])
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{run} of omniglot_runs is not whole: {error}") from error
    return support, queries, np.array([order.index(name) for name in classes])


def _drawing(data):
    image = require("PIL.Image", "plots").open(io.BytesIO(data))
    return np.asarray(image.convert("L"))[:, :, None]
