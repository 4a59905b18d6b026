"""The SavedModel that is served: its signatures, what they take, and their calls."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from . import images
from .problems import RequestProblem, StartProblem, shortened

DEFAULT = "serving_default"


class Limits:
    """How much one request may ask for.

    Args:
        rows: most rows.
        pixels: most pixels of its encoded images together, as their headers tell.
        body: most bytes.
    """

    def __init__(self, rows=4096, pixels=64_000_000, body=16 * 2**20):
        self.rows = rows
        self.pixels = pixels
        self.body = body


class Signature:
    """One function of the model, with checks of what it gets.

    Attributes:
        name: its name.
        inputs, outputs: dict of `tf.TensorSpec` by name.
        batches: whether rows of several requests may be put together: every tensor begins with a free batch axis.
    """

    def __init__(self, name, function, limits):
        self.name = name
        self.function = function
        self.limits = limits
        self.inputs = {spec.name: spec for spec in function.structured_input_signature[1].values()}
        self.outputs = {
            output: tf.TensorSpec(one.shape, one.dtype, name=output)
            for output, one in function.structured_outputs.items()
        }
        self.batches = all(
            spec.shape.rank is not None and spec.shape.rank >= 1 and spec.shape[0] is None
            for spec in (*self.inputs.values(), *self.outputs.values())
        )

    def checked(self, arrays):
        """The arrays in the dtypes of the signature.

        Args:
            arrays: dict of arrays by input name; texts as arrays of bytes.

        Raises:
            RequestProblem: for missing or unknown names, and for wrong shapes, dtypes or values.
        """
        if set(arrays) != set(self.inputs):
            raise RequestProblem(
                f"The signature {self.name!r} takes the inputs {sorted(self.inputs)}. Received: {sorted(arrays)}."
            )
        ready = {name: self._checked(spec, arrays[name]) for name, spec in self.inputs.items()}
        if self.batches:
            rows = {name: len(x) for name, x in ready.items()}
            if len(set(rows.values())) > 1:
                raise RequestProblem(
                    f"The inputs of {self.name!r} must have the same number of rows. Received: {rows}."
                )
        if self.limits.pixels:
            encoded = (x for one in ready.values() if one.dtype == object for x in one.ravel())
            images.check_pixels(encoded, self.limits.pixels)
        return ready

    def _checked(self, spec, x):
        x = np.asarray(x)
        wanted = f"the shape {spec.shape} and the dtype {spec.dtype.name}"
        owner = f"`{spec.name}` of the signature {self.name!r}"
        if not spec.shape.is_compatible_with(x.shape):
            raise RequestProblem(f"{owner} takes {wanted}. Received: the shape {x.shape}.")
        if x.size == 0:
            raise RequestProblem(
                f"{owner} must have one or more rows. Received: the shape {x.shape}."
            )
        if x.ndim and len(x) > self.limits.rows:
            raise RequestProblem(
                f"{owner} may have {self.limits.rows} rows. Received: {len(x)}. Send them in several requests.",
                status=413,
            )
        return _cast(x, spec.dtype, f"{owner} takes {wanted}")

    def run(self, arrays):
        """Calls the model.

        Args:
            arrays: what `checked` gave.

        Returns:
            Dict of arrays; texts as object arrays of bytes.

        Raises:
            RequestProblem: if the model refuses the values, for example bytes that are no image.
        """
        try:
            outputs = self.function(**{name: tf.constant(x) for name, x in arrays.items()})
            return {name: x.numpy() for name, x in outputs.items()}
        except tf.errors.InvalidArgumentError as error:
            raise RequestProblem(f"The model refuses this: {shortened(error.message)}") from error
        except tf.errors.ResourceExhaustedError as error:
            raise RequestProblem("The server has too little memory for this.", 503) from error


def _cast(x, dtype, rule):
    kind = x.dtype.kind
    if dtype == tf.string:
        if kind not in "OSU":
            raise RequestProblem(f"{rule}: texts or bytes. Received: {x.dtype}.")
        return x.astype(object)
    target = np.dtype(dtype.as_numpy_dtype)
    if dtype == tf.bool:
        fits = kind == "b"
    elif dtype.is_integer:
        fits = kind in "iu"
        if fits and x.dtype != target:
            bounds, low, high = np.iinfo(target), int(x.min()), int(x.max())
            if low < bounds.min or high > bounds.max:
                raise RequestProblem(
                    f"{rule}: from {bounds.min} to {bounds.max}. Received: {low} to {high}."
                )
    else:
        # bfloat16 and the like are of kind V.
        fits = kind in "iufV" and x.dtype.names is None
    if not fits:
        raise RequestProblem(f"{rule}. Received: {x.dtype}.")
    with np.errstate(over="ignore"):
        x = x.astype(target, copy=False)
    if dtype.is_floating and not np.isfinite(x).all():
        raise RequestProblem(f"{rule}, all finite. Received: NaN or infinity.")
    return x


class Model:
    """A loaded SavedModel.

    Args:
        path: its version folder, or the parent of several for the highest version.
        name: under which it is served; by default the name of the folder.
        limits: `Limits` of a request.

    Raises:
        StartProblem: if there is no SavedModel that can be loaded.
    """

    def __init__(self, path, name=None, limits=None):
        folder, self.version, found = version_folder(path)
        self.name = name or found
        self.card = _card(folder)
        try:
            self.loaded = tf.saved_model.load(str(folder))  # kept: its variables go with it
        except Exception as error:  # TensorFlow raises many kinds for a damaged SavedModel
            raise StartProblem(
                f"{folder} cannot be loaded as a SavedModel: {shortened(error)}"
            ) from error
        self.limits = limits or Limits()
        self.signatures = {
            name: Signature(name, function, self.limits)
            for name, function in sorted(self.loaded.signatures.items())
        }
        if not self.signatures:
            raise StartProblem(
                f"{folder} has no signatures to serve. `export.saved_model` writes them."
            )

    def signature(self, name):
        """The signature of a name; the default one for None or "".

        Raises:
            RequestProblem: if there is none.
        """
        found = self.signatures.get(name or DEFAULT) if isinstance(name, str | None) else None
        if found is None:
            raise RequestProblem(
                f"The model {self.name!r} has no signature {name!r}. It has {sorted(self.signatures)}."
            )
        return found

    def warm_up(self):
        """Runs every signature once on zeros, so that the first user does not wait for TensorFlow's preparations."""
        for signature in self.signatures.values():
            if any(spec.dtype == tf.string for spec in signature.inputs.values()):
                continue
            zeros = {
                name: np.zeros([side or 1 for side in spec.shape], spec.dtype.as_numpy_dtype)
                for name, spec in signature.inputs.items()
                if spec.shape.rank is not None
            }
            try:
                signature.run(zeros)
            except Exception:  # zeros need not suit a model; a user's request says what is wrong
                continue


def version_folder(path):
    """Folder, version number and name of the SavedModel at `path`.

    The rules are those of `export`, written again since this package works where that one is not installed.
    """
    path = Path(path)
    here = path.resolve()
    if (path / "saved_model.pb").is_file():
        numbered = path.resolve().name.isdecimal()
        return path, int(here.name) if numbered else 1, here.parent.name if numbered else here.name
    versions = []
    if path.is_dir():
        versions = [one for one in path.iterdir() if one.name.isdecimal() and one.name.isascii()]
    for one in sorted(versions, key=lambda one: int(one.name), reverse=True):
        if (one / "saved_model.pb").is_file():
            return one, int(one.name), here.name
    raise StartProblem(
        f"{path} {'holds no SavedModel' if path.exists() else 'does not exist'}: give the folder of an exported "
        "model (`keras-metric export` writes one), or one of its versions."
    )


def _card(folder):
    """What `model_card.json` tells, or nothing: a SavedModel from elsewhere has none."""
    try:
        card = json.loads((folder / "model_card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}
