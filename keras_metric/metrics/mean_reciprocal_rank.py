"""Mean reciprocal rank."""

from keras_metric.distances import Distance
from keras_metric.metrics.base import METRICS, RetrievalMetric


def reciprocal_rank(ranking):
    """1 / rank of the first relevant item, (Q,).

    Args:
        ranking: a `Ranking`.
    """
    return 1.0 / ranking.first_rank()


@METRICS.register("mrr")
class MeanReciprocalRank(RetrievalMetric):
    """`reciprocal_rank` within each batch, as a mean over queries.

    Args:
        distance, relation, ignore_id, name, dtype: see `RetrievalMetric`.
    """

    def __init__(self, distance: str | Distance = "cosine", name: str | None = "mrr", **kwargs):
        super().__init__(distance, name=name, **kwargs)

    def per_query(self, ranking):
        """See `reciprocal_rank`."""
        return reciprocal_rank(ranking)
