"""Mean average precision at R."""

from keras import ops

from keras_metric.distances import Distance
from keras_metric.metrics.base import METRICS, RetrievalMetric


def average_precision_at_r(ranking):
    """Σ_{i≤R} rel_i · precision@i / R, with R the number of relevant items of the query, (Q,).

    Args:
        ranking: a `Ranking`.

    References:
        Musgrave, Belongie and Lim, "A Metric Learning Reality Check", ECCV 2020, arXiv:2003.08505, section 3.2.
    """
    first = ranking.relevance * ranking.within(ranking.counts)
    return ops.sum(first * ranking.precisions(), axis=1) / ranking.counts


@METRICS.register("map@r")
class MeanAveragePrecisionAtR(RetrievalMetric):
    """`average_precision_at_r` within each batch, as a mean over queries: MAP@R.

    Args:
        distance, relation, ignore_id, name, dtype: see `RetrievalMetric`.
    """

    def __init__(self, distance: str | Distance = "cosine", name: str | None = "map@r", **kwargs):
        super().__init__(distance, name=name, **kwargs)

    def per_query(self, ranking):
        """See `average_precision_at_r`."""
        return average_precision_at_r(ranking)
