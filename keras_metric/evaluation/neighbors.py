"""Who lies next to whom within one set, in the order in which `retrieval` ranks."""

from typing import NamedTuple

import numpy as np

from keras_metric.evaluation import ranks
from keras_metric.evaluation.scores import scorer
from keras_metric.index import formulas

TILE = 2**23  # scores at a time
PAIRS_AT_ONCE = 2**16


class Neighbors(NamedTuple):
    """The nearest rows of some queries: row numbers and distances, both (Q, k), nearest first."""

    rows: np.ndarray
    distances: np.ndarray


def neighbors(embeddings, queries, k, distance):
    """The k nearest rows of the same set, each query without itself; ties by row.

    Args:
        embeddings: (N, D), checked.
        queries: row numbers (Q,).
        k: at most N - 1.
        distance: a `Distance`.
    """
    scores = scorer(embeddings, embeddings, distance)
    queries = np.asarray(queries, "int64")
    found = np.empty((len(queries), k), "int64")
    step = max(TILE // scores.columns, 1)
    for start in range(0, len(queries), step):
        some = queries[start : start + step]
        tile = np.empty((len(some), scores.columns), scores.dtype)
        scores.tile(some, tile)
        tile[np.arange(len(some)), some] = np.inf
        found[start : start + step] = ranks.nearest(tile, k)[0]
    pairs = np.repeat(queries, k), found.ravel()
    return Neighbors(found, between(embeddings, *pairs, distance).reshape(found.shape))


def between(embeddings, left, right, distance):
    """Distances (M,) float64 of the pairs of rows `left[i]`, `right[i]`."""
    found = np.empty(len(left))
    for start in range(0, len(left), PAIRS_AT_ONCE):
        some = slice(start, start + PAIRS_AT_ONCE)
        found[some] = formulas.between(embeddings[left[some]], embeddings[right[some]], distance)
    return found
