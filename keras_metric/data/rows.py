"""Inputs in memory: an array or a nested structure of arrays, of which rows are gathered in the graph."""

import numbers
import os

import numpy as np
import tensorflow as tf

from keras_metric import checks
from keras_metric.data.report import few

_CHUNK = 1 << 22  # values looked at together when searching for NaN


def as_rows(x, count, owner, on_error="raise"):
    """Checks inputs and puts them where tf.data reads them.

    Args:
        x: array, or nested dicts, tuples of arrays, all with `count` rows; lists become arrays.
        count: number of labels.
        owner: name of the function, for messages.
        on_error: "raise", or "skip" to have rows with NaN or infinity listed.

    Returns:
        `(tensors, skipped)`: the same structure of tensors in the host's memory, and `(row, reason)` of the rows that
        cannot be used.
    """
    checks.choice(on_error, "on_error", owner, ("raise", "skip"))
    skipped = {}

    def one(array):
        array, bad = _checked(array, count, owner)
        if bad and on_error == "raise":
            raise ValueError(
                f"`x` of {owner} must be finite. Received: NaN or infinity in {len(bad)} of {len(array)} rows "
                f'(rows {few(list(map(str, bad)))}). Repair these rows or leave them out with on_error="skip".'
            )
        skipped.update(dict.fromkeys(bad, "NaN or infinity"))
        with tf.device("/CPU:0"):
            try:
                return tf.convert_to_tensor(array)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"`x` of {owner} must be numbers or texts. Received: {error}"
                ) from error

    return tf.nest.map_structure(one, _listed(x, owner)), sorted(skipped.items())


def _listed(x, owner):
    """A list holds rows; dicts and tuples are structures of arrays."""
    if isinstance(x, dict):
        return {name: _listed(part, owner) for name, part in x.items()}
    if isinstance(x, tuple):
        parts = [_listed(part, owner) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    if hasattr(x, "iloc"):
        return x.to_numpy()
    if isinstance(x, list):
        return _of_objects(x, owner)
    return x


def _checked(array, count, owner):
    """An array with the right number of rows, and its rows that are not finite."""
    shape = getattr(array, "shape", None)
    if shape is None or len(shape) == 0:
        raise ValueError(
            f"`x` of {owner} must be an array or nested arrays with a row an example. "
            f"Received: {type(array).__name__}."
        )
    if shape[0] != count:
        raise ValueError(
            f"`x` and `y` of {owner} must have the same number of rows. "
            f"Received: x with {shape[0]} rows (shape {tuple(shape)}) and y with {count}."
        )
    if not (hasattr(array, "dtype") and hasattr(array, "__array__")):
        return array, []  # ragged or sparse
    values = np.asarray(array)
    if values.dtype.kind == "O" and not tf.is_tensor(array):
        array = values = _of_objects(values, owner)
    return array, _not_finite(values)


def _of_objects(rows, owner):
    """An array of rows that are Python objects: all of them texts or paths, or else numbers."""
    if all(isinstance(row, (str, bytes, os.PathLike)) for row in rows):
        return np.asarray([os.fspath(row) for row in rows], object)
    rows = rows.tolist() if isinstance(rows, np.ndarray) else rows
    try:
        array = np.asarray(rows)
    except ValueError as error:
        raise ValueError(
            f"`x` of {owner} must have rows of one shape. Received: {error} Bring them to one shape, or hand over "
            "paths and load them in `map_fn`."
        ) from error
    objects = np.asarray(rows, object).reshape(-1) if array.dtype.kind in "OSU" else ()
    strange = [value for value in objects if not isinstance(value, (str, bytes))]
    if strange:
        odd = next(
            (value for value in strange if not isinstance(value, numbers.Number)), strange[0]
        )
        raise ValueError(
            f"`x` of {owner} must hold numbers or texts, not both, and nothing else. Received: {odd!r} in a row. "
            "Hand columns of different types over as a dict of arrays."
        )
    return array


def _not_finite(array):
    if array.dtype.kind not in "fc" or not len(array):
        return []
    step = max(1, _CHUNK // max(1, array[0].size))
    bad = []
    for start in range(0, len(array), step):
        part = array[start : start + step]
        finite = np.isfinite(part.reshape(len(part), -1)).all(axis=1)
        bad.extend((start + np.flatnonzero(~finite)).tolist())
    return bad


def gather(x, rows):
    """The rows (any shape of indices) of every array of the structure."""
    return tf.nest.map_structure(lambda a: tf.gather(a, rows), x)
