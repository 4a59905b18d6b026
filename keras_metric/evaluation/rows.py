"""Embeddings as the judging functions take them: a finite floating NumPy matrix, checked once."""

import numpy as np
from keras import ops


def as_matrix(x, name, owner):
    """`x` as a float32 or float64 matrix (N, D); other types become float32, integers float64.

    Raises:
        ValueError: for another rank, no rows, or values that are not finite (how many rows, and which).
    """
    if not isinstance(x, np.ndarray):
        x = np.asarray(x) if isinstance(x, (list, tuple)) else ops.convert_to_numpy(x)
    if x.dtype.kind not in "fiubV":
        raise ValueError(f"`{name}` of {owner} must be numbers. Received: dtype {x.dtype}.")
    if x.dtype not in ("float32", "float64"):
        x = x.astype("float64" if x.dtype.kind in "iub" else "float32")
    if x.ndim != 2:
        raise ValueError(
            f"`{name}` of {owner} must be embeddings of shape (rows, dimensions). Received: shape {x.shape}."
        )
    if not x.size:
        raise ValueError(f"`{name}` of {owner} must not be empty. Received: shape {x.shape}.")
    check_finite(x, name, owner)
    return x


def check_finite(x, name, owner):
    """Says how many rows are not finite, and which."""
    # A sum is finite if all values are; only otherwise, or on overflow, are the values looked at.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(x.sum(dtype="float64")):
            return
    wrong = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(axis=1))
    if len(wrong):
        shown = ", ".join(map(str, wrong[:5])) + (", …" if len(wrong) > 5 else "")
        raise ValueError(
            f"`{name}` of {owner} must be finite. Received: NaN or infinity in {len(wrong)} of {len(x)} rows "
            f"(rows {shown}). Embeddings like these often come from a learning rate that is too high."
        )


def same_length(x, x_name, labels, labels_name, owner):
    """Refuses embeddings and labels of different lengths."""
    if len(x) != len(labels):
        raise ValueError(
            f"`{x_name}` and `{labels_name}` of {owner} must have the same number of rows. "
            f"Received: {len(x)} and {len(labels)}."
        )


def same_width(x, y, x_name, y_name, owner):
    """Refuses embeddings of different widths."""
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"`{x_name}` and `{y_name}` of {owner} must have the same number of dimensions. "
            f"Received: {x.shape[1]} and {y.shape[1]}."
        )
