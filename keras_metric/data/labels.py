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
    labels = list(labels)
    kinds = [_kind(label) for label in labels]
    for row, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ValueError(
                f"`{argument}` of {owner} must be of one type. Received: {labels[0]!r} in row 0 "
                f"and {labels[row]!r} in row {row}."
            )
    return np.asarray(labels, "int64") if kinds and kinds[0] is int else labels


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
    """Rows sorted by class: class c has `order[starts[c] : starts[c] + sizes[c]]`."""

    ids: np.ndarray  # (N,) int64, the id that the user sees
    order: np.ndarray  # (N,)
    starts: np.ndarray  # (C,)
    sizes: np.ndarray  # (C,)
    names: np.ndarray  # (C,)


def class_table(y, owner):
    """The `ClassTable` of labels; texts become dense ids, integers stay as they are."""
    labels = label_array(y, "y", owner)
    names, starts_of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    dense = starts_of.reshape(-1)
    if labels.dtype.kind in "US":
        ids = dense.astype("int64")
    elif labels.dtype.kind == "u" and labels.max() > np.iinfo("int64").max:
        checks.fail("y", owner, "fit into int64", labels.max(), "Use data.dense_ids(y).")
    else:
        ids = labels.astype("int64")
    order = np.argsort(dense, kind="stable").astype("int64")
    sizes = sizes.astype("int64")
    return ClassTable(ids, order, np.cumsum(sizes) - sizes, sizes, names)
