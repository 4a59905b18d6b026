"""Hit rate at k."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.metrics.base import METRICS, RetrievalMetric


def hit_at_k(ranking, k=1):
    """Whether any of the first k is relevant: 1 or 0, (Q,). What papers of metric learning call Recall@K.

    Args:
        ranking: a `Ranking`.
        k: number of ranks, >= 1.
    """
    return ops.cast(ranking.hits(k) > 0, ranking.relevance.dtype)


@METRICS.register("hit")
class HitAtK(RetrievalMetric):
    """`hit_at_k` within each batch, as a mean over queries.

    Args:
        k: number of ranks, >= 1.
        distance, relation, ignore_id, name, dtype: see `RetrievalMetric`; the name is "hit@k" with the number.
    """

    def __init__(self, k=1, distance: str | Distance = "cosine", name=None, **kwargs):
        self.k = checks.whole(k, "k", "HitAtK")
        super().__init__(distance, name=name or f"hit@{k}", **kwargs)

    def per_query(self, ranking):
        """See `hit_at_k`."""
        return hit_at_k(ranking, self.k)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "k": self.k}
