"""Open-set decisions from nearest neighbours."""

import math
import numbers

import numpy as np

from keras_metric.index import rows
from keras_metric.index.results import MatchResult


def check(threshold, by, labels):
    """Refuses what no decision can be made with."""
    number = isinstance(threshold, numbers.Real) and not isinstance(threshold, bool)
    if not number or not math.isfinite(threshold):
        rows.fail("threshold", "be a finite number", f"threshold={threshold!r}")
    if by not in ("nearest", "vote"):
        rows.fail("by", "be one of ['nearest', 'vote']", f"by={by!r}")
    if by == "vote" and labels is None:
        rows.fail("by", "be 'nearest' where the index has no labels", f"by={by!r}")


def match(distances, places, items, threshold, by):
    """`MatchResult` from the neighbours (Q, k) of the queries."""
    # In float64: rounded to float32, a threshold may pass a distance beyond it.
    near = distances.astype("float64") <= threshold
    column = _winners(near, items.labels[places]) if by == "vote" else np.zeros(len(near), "int64")
    every = np.arange(len(near))
    matched = near[every, column]
    chosen = places[every, column]
    return MatchResult(
        _or_nothing(items.ids[chosen], matched),
        None if items.labels is None else _or_nothing(items.labels[chosen], matched),
        distances[every, column],
        matched,
    )


def _winners(near, labels):
    """Column of the nearest item of the label with most votes; 0 where nothing is near."""
    votes = np.sum((labels[:, :, None] == labels[:, None, :]) & near[:, None, :], axis=2)
    # argmax takes the first of equals, and columns are sorted by distance.
    return np.argmax(np.where(near, votes, 0), axis=1)


def _or_nothing(values, matched):
    nothing = "" if values.dtype.kind == "U" else -1
    return np.where(matched, values, nothing).astype(values.dtype)
