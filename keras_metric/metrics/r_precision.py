"""R-precision."""

from keras_metric.distances import Distance
from keras_metric.metrics.base import METRICS, RetrievalMetric


def r_precision(ranking):
    """Share of the first R that is relevant, with R the number of relevant items of the query, (Q,).

    Args:
        ranking: a `Ranking`.
    """
    return ranking.hits(ranking.counts) / ranking.counts


@METRICS.register("r_precision")
class RPrecision(RetrievalMetric):
    """`r_precision` within each batch, as a mean over queries.

    Args:
        distance, relation, ignore_id, name, dtype: see `RetrievalMetric`.
    """

    def __init__(
        self, distance: str | Distance = "cosine", name: str | None = "r_precision", **kwargs
    ):
        super().__init__(distance, name=name, **kwargs)

    def per_query(self, ranking):
        """See `r_precision`."""
        return r_precision(ranking)
