"""Ranking metrics by name, from ranked relevance: what is computed, in one place.

With rel_i the relevance (0 or 1) at rank i, nearest first, and R the number of relevant items of the query:

    hit@k        1 if any rel_i, i <= k (the "Recall@K" of metric-learning papers)
    recall@k     sum_{i<=k} rel_i / R
    precision@k  sum_{i<=k} rel_i / k
    r_precision  precision@R
    map@r        sum_{i<=R} rel_i precision@i / R
    map@k        sum_{i<=k} rel_i precision@i / min(k, R)
    mrr          1 / rank of the first relevant item
    mrr@k        the same, and 0 if it is not among the first k
    ndcg@k       sum_{i<=k} grade_i / log2(i + 1), over the same sum of the best order possible

References:
    Musgrave, Belongie and Lim, "A Metric Learning Reality Check", ECCV 2020, arXiv:2003.08505, section 3.2 (map@r).
    Järvelin and Kekäläinen, "Cumulated Gain-Based Evaluation of IR Techniques", ACM TOIS 2002 (ndcg).
"""

import re

import numpy as np

from keras_metric.evaluation.conventions import map_denominator, precision_denominator

AT_K = ("hit", "recall", "precision", "map", "ndcg", "mrr")
WHOLE = ("map@r", "r_precision", "mrr")
FIRST_LOOK = 32  # ranks in which `mrr` looks for the first hit, before it counts what is nearer


class RankingMetric:
    """A metric by name: `family` and, where it has one, `k`."""

    def __init__(self, name, owner="retrieval"):
        found = re.fullmatch(rf"({'|'.join(AT_K)})@([1-9]\d*)", name) if isinstance(name, str) else None  # fmt: skip
        if not found and name not in WHOLE:
            known = [f"{family}@k" for family in AT_K] + list(WHOLE)
            raise ValueError(
                f"Unknown metric {name!r} in `metrics` of {owner}. Expected one of {known}, with k a whole number >= 1."
            )
        self.name = name
        self.family = found[1] if found else name
        self.k = int(found[2]) if found else None

    def depth(self, relevant):
        """How many ranks must be known of queries with `relevant` (Q,) relevant items."""
        if self.k:
            return np.full(len(relevant), self.k)
        if self.family == "mrr":
            return np.full(len(relevant), FIRST_LOOK)
        return relevant


def parse(names, owner="retrieval"):
    """`RankingMetric`s of names; one name may stand alone."""
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise ValueError(
            f"`metrics` of {owner} must name at least one metric. Received: {names!r}."
        )
    return [RankingMetric(name, owner) for name in dict.fromkeys(names)]


class RankedTile:
    """Queries with their ranked relevance; `values(metric)` gives one number for each.

    Args:
        relevant: (n, T) booleans by rank, T the depth that the metrics need.
        counts: (n,) relevant items of each query, >= 1.
        first: function of the tile's rows → ranks of their first hit, called where none is among the T.
        grades: (n, T) by rank and `ideal`: function k → grades (n, k) in the best order; None for 0 and 1.
        convention: one of `conventions.CONVENTIONS`.
    """

    def __init__(
        self, relevant, counts, first=None, grades=None, ideal=None, convention="keras-metric"
    ):
        self.relevant, self.counts, self.first = relevant, counts, first
        self.grades, self.ideal, self.convention = grades, ideal, convention
        self._hits = self._precisions = None

    def values(self, metric):
        """(n,) float64."""
        return getattr(self, "_" + metric.family.replace("@", "_"))(metric.k)

    def _hit(self, k):
        return self.relevant[:, :k].any(axis=1).astype("float64")

    def _recall(self, k):
        return self._hits_at(k) / self.counts

    def _precision(self, k):
        return self._hits_at(k) / precision_denominator(self.convention, k, self.counts)

    def _r_precision(self, _):
        return self._hits_at(self.counts) / self.counts

    def _map_r(self, _):
        return self._precision_sum(self.counts) / self.counts

    def _map(self, k):
        hits = self._hits_at(k)
        return self._precision_sum(k) / map_denominator(self.convention, k, self.counts, hits)

    def _mrr(self, k):
        shown = self.relevant[:, :k]  # all of them for k = None
        ranks = 1.0 + np.argmax(shown, axis=1)
        none = np.flatnonzero(~shown.any(axis=1))
        if len(none):
            ranks[none] = np.inf if k else self.first(none)
        return 1.0 / ranks

    def _ndcg(self, k):
        gains = self.relevant if self.grades is None else self.grades
        shown = min(k, gains.shape[1])
        if self.grades is None:
            best = np.arange(shown) < self.counts[:, None]
        else:
            best = self.ideal(shown)
        # Both by the same product, so that the best order gives 1 to the last digit.
        discounts = 1.0 / np.log2(np.arange(2, shown + 2))
        return (gains[:, :shown] @ discounts) / (best @ discounts)

    def _hits_at(self, k):
        if self._hits is None:
            self._hits = np.cumsum(self.relevant, axis=1, dtype="int32")
        return _pick(self._hits, k)

    def _precision_sum(self, k):
        if self._precisions is None:
            self._hits_at(1)
            ranks = np.arange(1, self.relevant.shape[1] + 1)
            precisions = self._hits * (1.0 / ranks)
            precisions *= self.relevant
            self._precisions = np.cumsum(precisions, axis=1)
        return _pick(self._precisions, k)


def _pick(sums, k):
    """Column k − 1 of each row, or the last one."""
    place = np.minimum(np.broadcast_to(k, len(sums)), sums.shape[1]) - 1
    return sums[np.arange(len(sums)), place]
