"""Class ids as columns of a (batch, classes) matrix."""

import keras
import numpy as np
from keras import ops

from keras_metric import checks
from keras_metric.tensors.relations import as_ids, rows_taking_part


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
            runs); elsewhere such a row is all 0.
    """
    checks.given(labels, "y_true", owner)
    if isinstance(labels, (np.ndarray, list, tuple)):
        as_ids(labels, owner)  # refuses text and wrong ranks
        labels = np.asarray(labels).reshape(-1)
        if ignore_id is not None:  # on the host no integer is too large for the comparison
            labels = np.where(labels == ignore_id, classes, labels)
        _check_columns(labels, classes, ignore_id is not None, owner)
        ids = ops.convert_to_tensor(labels.astype("int32"))
        valid = None
    else:
        valid = rows_taking_part(labels, "same", ignore_id)
        ids = as_ids(labels, owner)
        if valid is not None:
            ids = ops.where(valid, ids, ops.zeros_like(ids))
        if checks.is_concrete(ids):
            _check_columns(ops.convert_to_numpy(ids), classes, False, owner)
        elif keras.backend.backend() == "tensorflow":
            _check_while_running(ids, classes, owner)
    hot = ids[:, None] == ops.cast(ops.arange(classes), ids.dtype)[None, :]
    hot = hot if valid is None else ops.logical_and(hot, valid[:, None])
    return ops.cast(hot, dtype)


def _check_columns(ids, classes, one_more, owner):
    wrong = ids[(ids < 0) | (ids >= classes + int(one_more))]
    if wrong.size:
        checks.fail(
            "y_true", owner, f"be class ids from 0 to {classes - 1}", wrong.reshape(-1)[0].item(),
            "Number any labels with keras_metric.data.dense_ids(labels), or set num_classes higher.",
        )  # fmt: skip


def _check_while_running(ids, classes, owner):
    import tensorflow as tf  # only a graph of TensorFlow can check values while it runs

    inside = tf.logical_and(ids >= 0, ids < tf.cast(classes, ids.dtype))
    message = f"`y_true` of {owner} must be class ids from 0 to {classes - 1}. Number labels with data.dense_ids."
    tf.debugging.Assert(tf.reduce_all(inside), [message, ids])
