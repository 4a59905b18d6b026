"""What a search and a match give."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """The neighbours of Q queries, nearest first.

    Attributes:
        distances: (Q, k) float32.
        ids: (Q, k) int64 or str.
        labels: (Q, k), or None if the index has no labels.
        payload: Q lists of k, or None if the index has no payload.
    """

    distances: np.ndarray
    ids: np.ndarray
    labels: np.ndarray | None = None
    payload: list | None = None


@dataclasses.dataclass(frozen=True)
class MatchResult:
    """Who each of Q queries is, if it is near enough to anybody.

    Attributes:
        ids: (Q,) int64 or str; −1 or "" where nothing matched.
        labels: (Q,), or None if the index has no labels; −1 or "" where nothing matched.
        distances: (Q,) float32, to the nearest item of the decision, also where it is too far.
        matched: (Q,) bool.
    """

    ids: np.ndarray
    labels: np.ndarray | None
    distances: np.ndarray
    matched: np.ndarray
