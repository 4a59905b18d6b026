"""Who lies next to whom within one set, in the order in which `retrieval` ranks."""

from typing import NamedTuple

import numpy as np

from keras_metric.distances import CosineDistance, InnerProductDistance
from keras_metric.evaluation import ranks
from keras_metric.evaluation.pair_measures import BLOCK, measure_of
from keras_metric.evaluation.scores import scorer, unit_rows
from keras_metric.index import formulas

TILE = 2**23  # scores at a time
NUMBERS = 2**20  # of embeddings, or distances in a tile, at a time
DENSE = 8  # a share of all pairs from which tiles are faster: one of so many
DIGITS = 14  # parallel rows of different lengths differ in the last bits, and would not tie


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
    """Distances (M,) float64 of the pairs of rows `left[i]`, `right[i]`, in bounded memory.

    Args:
        embeddings: (N, D), checked.
        left, right: row numbers (M,).
        distance: a `Distance`; one that is not symmetric is taken from left to right.
    """
    used, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    x, left, right = embeddings[used], *places.reshape(2, -1)
    if len(left) and DENSE * len(left) >= len(x) ** 2:
        measure = measure_of(x, distance, np.dtype("float64"))
        if measure.symmetric:
            return _from_tiles(measure, np.minimum(left, right), np.maximum(left, right))
    cosine = isinstance(distance, CosineDistance)
    if cosine:  # every row is brought to length 1 once, not once a pair
        x, distance = unit_rows(x.astype("float64")), InnerProductDistance()
    found = np.empty(len(left))
    step = max(NUMBERS // x.shape[1], 1)
    for start in range(0, len(left), step):
        some = slice(start, start + step)
        found[some] = formulas.between(x[left[some]], x[right[some]], distance)
    return np.round(np.maximum(1 + found, 0), DIGITS) if cosine else found


def _from_tiles(measure, low, high):
    """Where a good part of all pairs is asked for, whole tiles of them are the faster way."""
    found = np.empty(len(low))
    order = np.argsort(low, kind="stable")
    step = max(NUMBERS // measure.rows // BLOCK, 1) * BLOCK
    for start in range(0, measure.rows, step):
        stop = min(start + step, measure.rows)
        some = order[slice(*np.searchsorted(low, (start, stop), sorter=order))]
        found[some] = measure.tile(start, stop)[low[some] - start, high[some] - start]
    return found
