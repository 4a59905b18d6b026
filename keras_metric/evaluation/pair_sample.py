"""Distances of same and different pairs of a set: of all pairs, or of a fair sample of them where there are many."""

from typing import NamedTuple

import numpy as np

from keras_metric.evaluation.neighbors import between


class PairSample(NamedTuple):
    """Distances of pairs of one kind.

    Attributes:
        distances: (M,) float64.
        total: number of all such pairs; the sample is all of them if M is as large.
    """

    distances: np.ndarray
    total: int

    @property
    def complete(self):
        """Whether every pair is in it."""
        return len(self.distances) == self.total


def shares(same, different, bins=60):
    """How the distances of each kind lie, in bins of equal width over both.

    Args:
        same, different: `PairSample`s.
        bins: how many.

    Returns:
        edges (bins + 1,), and the share of the same pairs and of the different pairs in each bin; NaN for a kind of
        which there is no pair.
    """
    both = np.concatenate([same.distances, different.distances])
    low, high = both.min(), both.max()
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    counts = [np.histogram(one.distances, edges)[0] for one in (same, different)]
    return edges, *(one / (one.sum() or np.nan) for one in counts)


def sample(embeddings, codes, distance, limit=100_000, seed=0):
    """Distances of the pairs i < j of one class, and of those of two classes.

    Args:
        embeddings: (N, D), checked.
        codes: (N,) small integers, equal where the class is.
        distance: a `Distance`.
        limit: up to this many pairs of a kind all are taken; else as many, drawn uniformly with replacement.
        seed: of the draw.

    Returns:
        `(same, different)`, two `PairSample`s.
    """
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    row = np.arange(len(codes))
    end = np.searchsorted(ordered, ordered, side="right")
    # Sorted by class, a row makes same pairs with those up to the end of its class, different ones with all after it.
    random = np.random.default_rng(seed)
    kinds = (row + 1, end - row - 1), (end, len(codes) - end)
    return tuple(
        _of_kind(embeddings, order, first, count, distance, limit, random) for first, count in kinds
    )


def _of_kind(embeddings, order, first, count, distance, limit, random):
    until = np.cumsum(count)
    total = int(until[-1])
    number = random.integers(total, size=limit) if total > limit else np.arange(total)
    left = np.searchsorted(until, number, side="right")
    right = first[left] + number - (until[left] - count[left])
    pairs = np.sort(np.stack([order[left], order[right]]), axis=0)  # from the earlier row
    return PairSample(between(embeddings, *pairs, distance), total)
