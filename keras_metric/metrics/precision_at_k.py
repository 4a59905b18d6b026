"""Precision at k."""

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.metrics.base import METRICS, RetrievalMetric


def precision_at_k(ranking, k=1):
    """Share of the first k that is relevant, (Q,); with fewer than k other rows still divided by k.

    Args:
        ranking: a `Ranking`.
        k: number of ranks, >= 1.
    """
    return ranking.hits(k) / k


@METRICS.register("precision")
class PrecisionAtK(RetrievalMetric):
    """`precision_at_k` within each batch, as a mean over queries.

    Args:
        k: number of ranks, >= 1.
        distance, relation, ignore_id, name, dtype: see `RetrievalMetric`; the name is "precision@k" with the number.
    """

    def __init__(self, k=1, distance: str | Distance = "cosine", name=None, **kwargs):
        self.k = checks.whole(k, "k", "PrecisionAtK")
        super().__init__(distance, name=name or f"precision@{k}", **kwargs)

    def per_query(self, ranking):
        """See `precision_at_k`."""
        return precision_at_k(ranking, self.k)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "k": self.k}
