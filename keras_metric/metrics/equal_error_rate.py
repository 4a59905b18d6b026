"""Equal error rate of pairs."""

from keras import ops

from keras_metric.metrics.base import METRICS
from keras_metric.metrics.pair_base import HistogramMetric


def eer_of_shares(same, different):
    """Where the share of different pairs accepted equals that of same pairs refused, by straight lines between bins.

    Args:
        same, different: (bins,) shares of the pairs of either kind, in the order of distance.
    """
    far, frr = ops.cumsum(different), 1.0 - ops.cumsum(same)
    # The curve starts at FAR 0, FRR 1; the crossing lies in the first bin after which FAR >= FRR.
    crossing = ops.argmax(ops.cast(far >= frr - 1e-6, "int32"))
    far, frr = ops.take(far, crossing), ops.take(frr, crossing)
    rise, fall = ops.take(different, crossing), ops.take(same, crossing)
    before, missed = far - rise, frr + fall
    step = ops.where(rise + fall > 0, rise + fall, 1.0)
    return before + rise * ops.clip((missed - before) / step, 0.0, 1.0)


@METRICS.register("eer")
class EqualErrorRate(HistogramMetric):
    """`eer_of_shares` over all pairs seen; inputs and bins as in `PairMetric` and `HistogramMetric`.

    Args:
        name, dtype: as for every Keras metric.
    """

    _direction = "down"

    def __init__(self, name: str | None = "eer", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def from_shares(self, same, different):
        """See `eer_of_shares`."""
        return eer_of_shares(same, different)
