"""Class ids: dense ids for any labels, and the table of which rows a class has."""

from typing import NamedTuple

import numpy as np

from keras_metric import checks


def dense_ids(labels):
    """Numbers any labels 0 … C−1, so that every backend, loss and proxy layer can take them.

    Args:
        labels: sequence or array of N labels of one kind: integers of any size, whole floats, texts, bytes, booleans.

    Returns:
        `(ids, vocabulary)`: int64 ids `(N,)` and the C different labels in sorted order, so that
        `vocabulary[ids]` gives the labels back.

    Raises:
        ValueError: for labels of mixed types, NaN, or more than one a row.
    """
    labels = label_array(labels, "labels", "dense_ids")
    vocabulary, ids = np.unique(labels, return_inverse=True)
    return ids.reshape(-1).astype("int64"), vocabulary


def multi_hot(labels):
    """A matrix of 0 and 1 out of lists of labels, for rows that have several (`relation="overlap"` of the losses).

    Args:
        labels: sequence of N sequences of labels of one kind; a row may have none.

    Returns:
        `(matrix, vocabulary)`: int64 `(N, C)` and the C different labels in sorted order.
    """
    rows = [
        list(row) if isinstance(row, (list, tuple, set, frozenset, np.ndarray)) else [row]
        for row in labels
    ]
    flat, vocabulary = dense_ids([label for row in rows for label in row])
    matrix = np.zeros((len(rows), len(vocabulary)), "int64")
    matrix[np.repeat(np.arange(len(rows)), list(map(len, rows))), flat] = 1
    return matrix, vocabulary


def label_array(labels, argument, owner):
    """Labels as a one-dimensional array of integers or texts."""
    labels = np.asarray(_of_one_kind(labels, argument, owner))
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(
            f"`{argument}` of {owner} must hold one label a row. Received: shape {labels.shape}."
        )
    if not len(labels):
        raise ValueError(f"`{argument}` of {owner} must hold at least one label. Received: none.")
    if labels.dtype.kind == "f":
        bad = np.flatnonzero(~(labels == np.round(labels)) | (np.abs(labels) >= 2.0**63))
        if len(bad):
            raise ValueError(
                f"`{argument}` of {owner} must be whole numbers or texts. "
                f"Received: {labels[bad[0]]} in row {bad[0]}{_and_more(bad)}."
            )
        labels = labels.astype("int64")
    if labels.dtype.kind not in "iubUS":
        raise ValueError(
            f"`{argument}` of {owner} must be whole numbers or texts. Received: dtype {labels.dtype}."
        )
    return labels


def _of_one_kind(labels, argument, owner):
    """Refuses mixed types, which NumPy would turn into texts in silence."""
    labels = getattr(labels, "values", labels) if hasattr(labels, "iloc") else labels
    if hasattr(labels, "dtype") and not getattr(labels.dtype, "kind", "O") == "O":
        return labels
    if hasattr(labels, "numpy") and not isinstance(labels, np.ndarray):
        labels = labels.numpy()
    if isinstance(labels, np.ndarray) and labels.dtype.kind != "O":
        return labels
    if not hasattr(labels, "__iter__"):
        checks.fail(argument, owner, "be a sequence of labels", labels)
    labels = list(labels)
    kinds = [_kind(label) for label in labels]
    for row, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ValueError(
                f"`{argument}` of {owner} must be of one type. Received: {labels[0]!r} in row 0 "
                f"and {labels[row]!r} in row {row}."
            )
    try:
        return np.asarray(labels, "int64" if kinds and kinds[0] is int else None)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"`{argument}` of {owner} must hold one label a row, a whole number of 64 bits or a text. "
            f"Received: {error}. Lists of labels become a matrix with data.multi_hot."
        ) from error


def _kind(label):
    for kind in (bool, str, bytes):
        if isinstance(label, kind):
            return kind
    if isinstance(label, (int, np.integer)):
        return int
    return float if isinstance(label, (float, np.floating)) else type(label)


def _and_more(rows):
    return f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""


class ClassTable(NamedTuple):
    """Rows sorted by class: class c has `order[starts[c] : starts[c] + sizes[c]]`; not every row need be in it."""

    ids: np.ndarray  # (N,) int64, the id that the user sees; (N, labels) where rows have several
    order: np.ndarray  # (rows that take part,); of several labels each has its own copy of a row
    starts: np.ndarray  # (C,)
    sizes: np.ndarray  # (C,)
    names: np.ndarray  # (C,)


def class_table(y, owner, leave=(), several=False):
    """The `ClassTable` of labels; texts become dense ids, integers stay as they are.

    Args:
        y: labels, one a row; with `several` also a matrix of 0 and 1.
        owner: name of the function, for messages.
        leave: rows that take no part. Their classes are named all the same, if need be with size 0.
        several: whether rows may have several labels.
    """
    if several and _is_matrix(y):
        return _table_of_several(y, owner, leave)
    labels = label_array(y, "y", owner)
    names, dense = np.unique(labels, return_inverse=True)
    dense = dense.reshape(-1)
    if labels.dtype.kind in "US":
        ids = dense.astype("int64")
    elif labels.dtype.kind == "u" and labels.max() > np.iinfo("int64").max:
        checks.fail("y", owner, "fit into int64", labels.max(), "Use data.dense_ids(y).")
    else:
        ids = labels.astype("int64")
    order = np.argsort(dense, kind="stable").astype("int64")
    if len(leave):
        order = order[~np.isin(order, leave)]
    sizes = np.bincount(dense[order], minlength=len(names)).astype("int64")
    return ClassTable(ids, order, np.cumsum(sizes) - sizes, sizes, names)


def _is_matrix(y):
    try:
        shape = np.shape(y)
    except ValueError:  # lists of different lengths, which `label_array` refuses
        return False
    return len(shape) == 2 and shape[1] > 1


def _table_of_several(y, owner, leave):
    labels = np.asarray(y)
    bad = (
        np.flatnonzero(~np.isin(labels, (0, 1)).all(axis=1)) if labels.dtype.kind in "biuf" else [0]
    )
    if len(bad):
        raise ValueError(
            f"`y` of {owner} must hold one label a row, or a matrix of 0 and 1 with a column a label. "
            f"Received: shape {labels.shape} with {labels[bad[0]]!r} in row {bad[0]}{_and_more(bad)}."
        )
    present = labels.T.astype(bool)
    present[:, list(leave)] = False
    sizes = present.sum(axis=1).astype("int64")
    order = np.nonzero(present)[1].astype("int64")
    names = np.arange(len(sizes))
    return ClassTable(labels.astype("int64"), order, np.cumsum(sizes) - sizes, sizes, names)


def without_classes(table, keep):
    """The table with only the classes marked in `keep` (C,)."""
    sizes = table.sizes[keep]
    order = table.order[np.repeat(keep, table.sizes)]
    return ClassTable(table.ids, order, np.cumsum(sizes) - sizes, sizes, table.names[keep])
