"""Which pairs of rows count: +1 same id, -1 other id, 0 for pairs that take no part."""

import keras
import numpy as np
from keras import ops

from keras_metric import checks
from keras_metric.tensors.refusals import refuse_values

RELATIONS = ("same", "overlap")
MULTI_HOT = 'For a multi-hot (batch, classes) matrix pass relation="overlap".'


def pair_relations(labels, references=None, relation="same", ignore_id=None, owner="the loss"):
    """Relations between rows, (B, N) of +1.0, -1.0 and 0.0; ids are compared as integers, never as floats.

    Args:
        labels: ids of the anchors, `(B,)` or `(B, 1)`, or multi-hot `(B, C)` with `relation="overlap"`.
        references: the same for N references; None means the anchors themselves, and then each row is left
            out of its own pairs.
        relation: `"same"`: positive if ids are equal. `"overlap"`: positive if rows share a class.
        ignore_id: rows with this id take part in nothing (multi-hot: rows with no class but this one).
        owner: who asks, for error messages.

    Raises:
        ValueError: for another rank, for text labels and for floating ids that are not whole.
    """
    checks.given(labels, "y_true", owner)
    valid = rows_taking_part(labels, relation, ignore_id, owner)
    valid_references = valid
    if references is not None:
        valid_references = rows_taking_part(references, relation, ignore_id, owner)
    if relation == "overlap":
        labels = as_multi_hot(labels, owner)
        others = labels if references is None else as_multi_hot(references, owner)
        positive = ops.matmul(labels, ops.transpose(others)) > 0
    else:
        labels, others = _as_comparable_ids(labels, references, owner)
        positive = labels[:, None] == others[None, :]
    counts = None if references is not None else ops.logical_not(_identity(labels))
    if valid is not None:
        both_valid = ops.logical_and(valid[:, None], valid_references[None, :])
        counts = both_valid if counts is None else ops.logical_and(counts, both_valid)
    signs = ops.where(positive, 1.0, -1.0)
    return signs if counts is None else ops.where(counts, signs, 0.0)


def rows_taking_part(labels, relation, ignore_id, owner="the loss"):
    """Boolean (B,): rows that are not to be ignored; None if there is nothing to ignore."""
    if ignore_id is None:
        return None
    if isinstance(labels, (np.ndarray, list, tuple)):
        labels = host_integers(labels)  # on the host no integer is too large for the comparison
    if relation == "overlap":
        classes = as_multi_hot(labels, owner)
        if not 0 <= ignore_id < (classes.shape[1] or ignore_id + 1):
            rule = f"be a column of the {classes.shape[1]} classes"
            checks.fail("ignore_id", owner, rule, ignore_id)
        ignored = classes[:, ignore_id]
        return ops.logical_or(ignored == 0, ops.sum(classes, axis=1) > ignored)
    if isinstance(labels, np.ndarray):
        return ops.convert_to_tensor(labels.reshape(-1) != ignore_id)
    labels = ops.reshape(ops.convert_to_tensor(labels), (-1,))
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if "int" in dtype and not np.iinfo(dtype).min <= ignore_id <= np.iinfo(dtype).max:
        return ops.ones_like(
            labels, dtype="bool"
        )  # none has it; a cast would make another id of it
    return labels != ops.cast(ignore_id, labels.dtype)


def as_ids(labels, owner="the loss", argument="y_true", way_out=MULTI_HOT):
    """Class ids `(batch,)` from `(batch,)` or `(batch, 1)`, as an integer tensor where they came as integers.

    Values on the host (NumPy arrays, lists) may be any integers: where a backend could not hold them they are
    numbered anew, which keeps equal ids equal. Floating ids must be whole. `way_out` ends the error for a matrix.
    """
    return _as_tensor_of_ids(_numbered_on_host([labels])[0], owner, argument, way_out)


def as_multi_hot(labels, owner="the loss", argument="y_true"):
    """Multi-hot classes `(batch, classes)` as 0.0 and 1.0."""
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) != 2:
        checks.fail_shape(
            argument, owner, 'be multi-hot, of shape (batch, classes), with relation="overlap"', labels
        )  # fmt: skip
    if keras.backend.standardize_dtype(labels.dtype) != "bool":  # TensorFlow has no order of them
        labels = labels > 0
    return ops.cast(labels, "float32")


def _as_comparable_ids(labels, references, owner):
    if references is None:
        labels = as_ids(labels, owner)
        return labels, labels
    labels, references = _numbered_on_host([labels, references])
    return _as_tensor_of_ids(labels, owner), _as_tensor_of_ids(references, owner)


def host_integers(values):
    """Array of host values; integers of which no common type is wide enough stay Python's own."""
    array = np.asarray(values)
    if array.dtype.kind == "f" and isinstance(values, (list, tuple)):
        objects = np.asarray(values, dtype=object)
        if all(isinstance(v, (int, np.integer)) for v in objects.flat):
            return objects  # NumPy makes floats of [2**63, -1], which merges ids
    return array


def _as_tensor_of_ids(labels, owner, argument="y_true", way_out=MULTI_HOT):
    labels = ops.convert_to_tensor(labels)
    rank = len(labels.shape)
    if rank not in (1, 2) or (rank == 2 and labels.shape[1] not in (1, None)):
        checks.fail_shape(
            argument, owner, "be class ids of shape (batch,) or (batch, 1)", labels, way_out
        )  # fmt: skip
    labels = ops.reshape(labels, (-1,))
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if "float" in dtype:
        wrong = ops.logical_not(ops.logical_and(ops.isfinite(labels), labels == ops.floor(labels)))
        refuse_values(wrong, labels, argument, owner, "be whole numbers")
    elif dtype == "bool":
        labels = ops.cast(labels, "int32")
    return labels


def _numbered_on_host(parts):
    """The parts, with integers that came from the host replaced by small ones, equal where they were equal."""
    if not all(isinstance(part, (np.ndarray, np.generic, list, tuple)) for part in parts):
        return parts
    arrays = [_refuse_text(host_integers(part)) for part in parts]
    if not all(a.dtype.kind in "iuO" and a.dtype.itemsize >= 4 for a in arrays):
        return arrays
    # As Python's own where types differ: NumPy's common type of int64 and uint64 is a float.
    common = arrays[0].dtype if len({a.dtype for a in arrays}) == 1 else object
    joined = np.concatenate([a.ravel().astype(common) for a in arrays])
    numbers = np.unique(joined, return_inverse=True)[1]
    pieces = np.split(numbers.astype("int32"), np.cumsum([a.size for a in arrays])[:-1])
    return [piece.reshape(a.shape) for piece, a in zip(pieces, arrays, strict=True)]


def _refuse_text(array):
    wrong = array.flat if array.dtype.kind not in "biufO" else ()
    if array.dtype.kind == "O":
        wrong = (v for v in array.flat if not isinstance(v, (int, np.integer)))
    for value in wrong:
        raise ValueError(
            f"Class ids must be integers. Received: {value!r} and the like. "
            "Number any labels with keras_metric.data.dense_ids(labels)."
        )
    return array


def _identity(labels):
    # Counting rows by a cumulative sum works where the batch size is unknown when tracing.
    first = labels[:, 0] if len(labels.shape) == 2 else labels
    index = ops.cumsum(ops.ones_like(first, dtype="int32"))
    return index[:, None] == index[None, :]
