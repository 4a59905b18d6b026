"""Area under the ROC curve of pairs."""

from keras import ops

from keras_metric.metrics.base import METRICS
from keras_metric.metrics.pair_base import HistogramMetric


def auc_of_shares(same, different):
    """Probability that a same pair is closer than a different one; pairs in one bin count half.

    Args:
        same, different: (bins,) shares of the pairs of either kind, in the order of distance.
    """
    closer = ops.cumsum(same) - same
    return ops.sum(different * (closer + 0.5 * same))


@METRICS.register("auc")
class VerificationAUC(HistogramMetric):
    """`auc_of_shares` over all pairs seen; inputs and bins as in `PairMetric` and `HistogramMetric`.

    Args:
        name, dtype: as for every Keras metric.
    """

    _direction = "up"

    def __init__(self, name: str | None = "auc", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def from_shares(self, same, different):
        """See `auc_of_shares`."""
        return auc_of_shares(same, different)
