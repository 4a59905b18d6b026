"""Ranked relevance of a batch, with static shapes."""

import typing

from keras import ops

from keras_metric.tensors.numerics import LARGE
from keras_metric.tensors.positives import extreme_columns


class Ranking(typing.NamedTuple):
    """Relevance by rank, nearest first.

    Attributes:
        relevance: (Q, K) of 1.0 and 0.0; what takes no part stands last, with 0.
        counts: (Q,) number of relevant items, R.
    """

    relevance: typing.Any
    counts: typing.Any

    def hits(self, k):
        """Relevant items among the first k, (Q,); k may be a number or one for each query."""
        return ops.sum(self.relevance * self.within(k), axis=1)

    def within(self, k):
        """1.0 for the first k ranks, (Q, K)."""
        places = ops.cumsum(ops.ones_like(self.relevance), axis=1)
        limit = k if isinstance(k, int) else k[:, None]
        return ops.cast(places <= limit, self.relevance.dtype)

    def precisions(self):
        """Precision at each rank, (Q, K)."""
        places = ops.cumsum(ops.ones_like(self.relevance), axis=1)
        return ops.cumsum(self.relevance, axis=1) / places

    def first_rank(self):
        """Rank of the first relevant item, (Q,), from 1."""
        return 1.0 + ops.cast(extreme_columns(ops.argmax, self.relevance), self.relevance.dtype)


def rank(distances, relations):
    """`Ranking` of each row's references; equal distances rank in the order of the references.

    Args:
        distances: (Q, N).
        relations: (Q, N): +1 relevant, −1 not, 0 takes no part.
    """
    keys = ops.where(relations == 0, LARGE, distances)
    order = ops.argsort(keys, axis=1)  # stable on every backend
    relevance = ops.take_along_axis(ops.relu(relations), order, axis=1)
    return Ranking(relevance, ops.sum(relevance, axis=1))
