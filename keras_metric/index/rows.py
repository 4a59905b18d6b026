"""Checks of what users hand to an index, with messages that name the row at fault."""

import numbers

import numpy as np
from keras import ops

OWNER = "Index"


def fail(argument, rule, received, way_out=""):
    """Raises the ValueError of all checks of this room."""
    text = f"`{argument}` of {OWNER} must {rule}. Received: {received}. {way_out}"
    raise ValueError(text.rstrip())


def vectors(x, argument, width=None):
    """(N, D) float32, finite, of the width of the index."""
    if not isinstance(x, np.ndarray):
        try:
            x = np.asarray(ops.convert_to_numpy(x))
        except ValueError:  # rows of different lengths
            fail(argument, "have the shape (rows, dimensions)", "rows of different lengths")
    if x.dtype.kind not in "fiu" and x.dtype.name != "bfloat16":
        fail(argument, "hold numbers", f"dtype {x.dtype}")
    if x.ndim != 2 or x.shape[1] == 0:
        fail(argument, "have the shape (rows, dimensions)", f"shape {x.shape}")
    if width is not None and x.shape[1] != width:
        fail(argument, f"have the {width} dimensions of the index", f"shape {x.shape}")
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(x, dtype="float32")
    broken = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(broken):
        fail(
            argument, "be finite in float32",
            f"NaN or infinity in {len(broken)} of {len(x)} rows, the first of them row {broken[0]}",
        )  # fmt: skip
    return x


def ids(values, count=None, argument="ids"):
    """(N,) int64 or str, all different."""
    array = _vector(values, argument)
    if array.dtype.kind in "iu":
        array = _int64(array, argument)
    elif array.dtype.kind != "U":
        fail(argument, "be whole numbers or texts", f"dtype {array.dtype}")
    if count is not None and len(array) != count:
        fail(argument, "give one id for each row", f"{len(array)} ids for {count} rows")
    different, counts = np.unique(array, return_counts=True)
    if len(different) < len(array):
        twice = different[counts > 1][:5].tolist()
        fail(argument, "be all different", f"more than once: {twice}")
    return array


def labels(values, count, argument="labels"):
    """(N,) int64 or str."""
    array = _vector(values, argument)
    if array.dtype.kind in "iub":
        array = _int64(array, argument)
    elif array.dtype.kind != "U":
        fail(argument, "be whole numbers or texts", f"dtype {array.dtype}")
    if len(array) != count:
        fail(argument, "give one label for each row", f"{len(array)} labels for {count} rows")
    return array


def payload(values, count):
    """A list of N things that JSON can hold, or None for a row without."""
    values = list(values)
    if len(values) != count:
        fail("payload", "give one thing for each row", f"{len(values)} for {count} rows")
    return values


def whole(value, argument, at_least=1):
    """An int."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < at_least:
        fail(argument, f"be a whole number >= {at_least}", f"{argument}={value!r}")
    return int(value)


def _int64(array, argument):
    if array.max(initial=0) > np.iinfo("int64").max:
        fail(argument, "fit into int64", f"{array.max()}")
    return array.astype("int64")


def _vector(values, argument):
    if ops.is_tensor(values):
        values = ops.convert_to_numpy(values)
    if not isinstance(values, np.ndarray):
        if isinstance(values, str | bytes | numbers.Number):
            values = [values]
        values = list(values)
        # NumPy would turn [1, "a"] into two texts.
        if len({isinstance(value, str) for value in values}) > 1:
            fail(argument, "be all whole numbers or all texts", "both")
        values = np.asarray(values) if values else np.empty(0, "int64")
    if values.dtype == object and all(isinstance(value, str) for value in values.ravel()):
        values = values.astype(str)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        fail(argument, "have the shape (rows,)", f"shape {values.shape}")
    if values.dtype.kind == "U" and any("\0" in value for value in values.tolist()):
        fail(argument, "hold no zero character", "one")
    return values


def mask(values, count):
    """(N,) bool."""
    values = np.asarray(ops.convert_to_numpy(values) if ops.is_tensor(values) else values)
    if values.dtype != bool or values.shape != (count,):
        fail(
            "mask", f"be ({count},) bool, one for each item",
            f"shape {values.shape}, dtype {values.dtype}",
        )  # fmt: skip
    return values


def filter_labels(values, those):
    """Labels to look for, of the kind of those in the index."""
    values = _vector(values, "labels")
    if (values.dtype.kind == "U") != (those.dtype.kind == "U"):
        fail("labels", "be of the kind of those in the index", f"dtype {values.dtype}")
    # NumPy would compare unsigned numbers with int64 as floats.
    return _int64(values, "labels") if values.dtype.kind == "u" else values
