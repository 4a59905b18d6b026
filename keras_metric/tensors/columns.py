"""Class ids as columns of a (batch, classes) matrix."""

import keras
import numpy as np
from keras import ops

from keras_metric import checks
from keras_metric.tensors.refusals import refuse_values
from keras_metric.tensors.relations import as_ids, host_integers, rows_taking_part

DENSE = "Number any labels with keras_metric.data.dense_ids(labels), or set num_classes higher."
ONE_HOT = "For one-hot rows take numpy.argmax(labels, axis=1)."


def class_columns(labels, classes, ignore_id=None, owner="the loss", dtype="float32"):
    """One-hot rows (B, C) of class ids 0 … C − 1; rows with `ignore_id` are all 0.

    Args:
        labels: ids (B,) or (B, 1).
        classes: C.
        ignore_id: id that need not be a column, or None.
        owner: who asks, for error messages.
        dtype: of the result.

    Raises:
        ValueError: for ids that are not columns, where values can be seen (eagerly, or while a TensorFlow graph
            runs); elsewhere, as under XLA, such a row is NaN, for the loss to show.
    """
    index, valid, outside = class_indices(labels, classes, ignore_id, owner)
    hot = index[:, None] == ops.arange(classes, dtype="int32")[None, :]
    hot = ops.cast(hot if valid is None else ops.logical_and(hot, valid[:, None]), dtype)
    return hot if outside is None else ops.where(outside[:, None], float("nan"), hot)


def class_indices(labels, classes, ignore_id=None, owner="the loss", argument="y_true"):
    """Class ids as int32 indices 0 … C − 1.

    Returns:
        Three tensors (B,): the indices, 0 in rows with `ignore_id`; whether a row has another id than that, or None if
        there is nothing to ignore; and whether its id is no class, or None where that was checked here.

    Raises:
        ValueError: as in `class_columns`.
    """
    checks.given(labels, argument, owner)
    if isinstance(labels, (np.ndarray, list, tuple)):
        as_ids(labels, owner, argument, ONE_HOT)  # refuses text and wrong ranks
        labels = host_integers(labels).reshape(-1)
        ignored = np.zeros(labels.shape, bool) if ignore_id is None else labels == ignore_id
        labels = np.where(ignored, 0, labels)
        wrong = labels[(labels < 0) | (labels >= classes)]
        if wrong.size:
            checks.fail(argument, owner, _rule(classes), int(wrong[0]), DENSE)
        valid = None if ignore_id is None else ops.convert_to_tensor(~ignored.astype(bool))
        return ops.convert_to_tensor(labels.astype("int32")), valid, None
    ids = as_ids(labels, owner, argument, ONE_HOT)
    if keras.backend.standardize_dtype(ids.dtype) in ("int8", "uint8", "int16", "uint16"):
        ids = ops.cast(ids, "int32")  # these may be too small to hold C
    valid = rows_taking_part(ids, "same", ignore_id)
    if valid is not None:
        ids = ops.where(valid, ids, ops.zeros_like(ids))
    outside = ops.logical_or(ids < 0, ids >= classes)
    seen = refuse_values(outside, ids, argument, owner, _rule(classes), DENSE)
    index = ops.where(outside, ops.zeros_like(ids), ids)
    return ops.cast(index, "int32"), valid, None if seen else outside


def _rule(classes):
    return f"be class ids from 0 to {classes - 1}"
