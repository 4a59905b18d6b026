"""Recall at k."""

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.metrics.base import METRICS, RetrievalMetric


def recall_at_k(ranking, k=1):
    """Share of all relevant items that stand among the first k, (Q,). For "any of the first k" see `hit_at_k`.

    Args:
        ranking: a `Ranking`.
        k: number of ranks, >= 1.
    """
    return ranking.hits(k) / ranking.counts


@METRICS.register("recall")
class RecallAtK(RetrievalMetric):
    """`recall_at_k` within each batch, as a mean over queries.

    Args:
        k: number of ranks, >= 1.
        distance, relation, ignore_id, name, dtype: see `RetrievalMetric`; the name is "recall@k" with the number.
    """

    def __init__(self, k=1, distance: str | Distance = "cosine", name=None, **kwargs):
        self.k = checks.whole(k, "k", "RecallAtK")
        super().__init__(distance, name=name or f"recall@{k}", **kwargs)

    def per_query(self, ranking):
        """See `recall_at_k`."""
        return recall_at_k(ranking, self.k)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "k": self.k}
