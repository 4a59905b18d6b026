"""Turns what users hand to the client into the arrays that a signature takes."""

import numpy as np

from keras_metric.serving.transport import Tensor


def arrays(batch, prefix, description, owner):
    """Arrays by input name.

    Args:
        batch: array, list of texts or of bytes, or a dict of them for an encoder of several inputs.
        prefix: name of the input, or what stands before the names of several: "a" and "b" of `similarity`, else "".
        description: `Description` of the signature.
        owner: for error messages.

    Raises:
        TypeError, ValueError: for what the signature does not take.
    """
    single = prefix or "inputs"
    if isinstance(batch, dict):
        named = {f"{prefix}_{name}" if prefix else name: x for name, x in batch.items()}
    elif single in description.inputs:
        named = {single: batch}
    elif not prefix and len(description.inputs) == 1:  # a SavedModel from elsewhere
        named = {next(iter(description.inputs)): batch}
    else:
        raise ValueError(
            f"{owner} takes several inputs: give a dict with {sorted(description.inputs)}. "
            f"Received: {type(batch).__name__}."
        )
    unknown = set(named) - set(description.inputs)
    if unknown:
        raise ValueError(
            f"{owner} takes the inputs {sorted(description.inputs)}. Received: {sorted(named)}."
        )
    return {name: _array(x, description.inputs[name], name, owner) for name, x in named.items()}


def rows(ready, owner):
    """Their number of rows, the same in all.

    Raises:
        ValueError: if they differ or there are none.
    """
    counts = {name: len(x) for name, x in ready.items()}
    if len(set(counts.values())) > 1 or not next(iter(counts.values())):
        raise ValueError(
            f"{owner} must get one or more rows, as many in every input. Received: {counts}."
        )
    return next(iter(counts.values()))


def _array(x, tensor: Tensor, name, owner):
    wanted = f"`{name}` of {owner} must have the shape {_shown(tensor.shape)} and the dtype {tensor.dtype}"
    if tensor.dtype == "string":
        ready = _bytes(x, wanted)
    else:
        ready = _numbers(x, tensor.dtype, wanted)
    if not _fits(ready.shape, tensor.shape) or not ready.ndim:
        raise ValueError(f"{wanted}. Received: shape {ready.shape}.")
    return ready


def _numbers(x, dtype, wanted):
    try:
        x = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{wanted}. Received: rows of different shapes.") from error
    if x.dtype.kind not in "biuf":
        raise TypeError(f"{wanted}. Received: {type(x).__name__} of {x.dtype}.")
    target = _dtype(dtype)
    if not np.can_cast(x.dtype, target, "same_kind") and not _whole_that_fit(x, target):
        raise TypeError(f"{wanted}. Received: {x.dtype}.")
    ready = x.astype(target)
    if ready.dtype.kind == "f" and not np.isfinite(ready).all():
        raise ValueError(f"{wanted}, all finite. Received: NaN or infinity.")
    return ready


def _dtype(name):
    if name == "bfloat16":
        import tensorflow as tf

        return np.dtype(tf.bfloat16.as_numpy_dtype)
    return np.dtype(name)


def _whole_that_fit(x, target):
    """Whether whole numbers of another kind, such as a list of Python's, lie within the bounds of a dtype."""
    if x.dtype.kind not in "iu" or target.kind not in "iu":
        return False
    bounds = np.iinfo(target)
    return not x.size or (int(x.min()) >= bounds.min and int(x.max()) <= bounds.max)


def _bytes(x, wanted):
    if isinstance(x, str | bytes):
        raise TypeError(f"{wanted}: a list of texts or bytes. Received: one {type(x).__name__}.")
    x = np.asarray(x, dtype=object)
    flat = np.empty(x.size, object)
    for place, one in enumerate(x.ravel()):
        if not isinstance(one, str | bytes):
            raise TypeError(f"{wanted}: texts or bytes. Received: {type(one).__name__}.")
        try:
            flat[place] = one.encode() if isinstance(one, str) else bytes(one)
        except UnicodeEncodeError as error:  # half a surrogate pair
            raise ValueError(f"{wanted}: Unicode texts. Received: {one!r}.") from error
    return flat.reshape(x.shape)


def _fits(shape, wanted):
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(
        side in (-1, given) for given, side in zip(shape, wanted, strict=True)
    )


def _shown(shape):
    if shape is None:
        return "of any rank"
    sides = [
        "batch" if place == 0 and side < 0 else "any" if side < 0 else str(side)
        for place, side in enumerate(shape)
    ]
    return f"({', '.join(sides)})"
