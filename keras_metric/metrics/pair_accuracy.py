"""Accuracy of pairs at a threshold."""

from keras import ops

from keras_metric import checks
from keras_metric.metrics.base import METRICS, mean_or_nan
from keras_metric.metrics.pair_base import PairMetric


def pair_accuracy(same, distances, threshold):
    """1 where a pair is told right, "same" if its distance <= threshold, else 0; (B,).

    Args:
        same: (B,), 1 = same, 0 = different.
        distances: (B,), small = close.
        threshold: a distance.
    """
    told = ops.cast(distances <= threshold, same.dtype)
    return told * same + (1.0 - told) * (1.0 - same)


@METRICS.register("accuracy")
class PairAccuracy(PairMetric):
    """`pair_accuracy` as a weighted mean over all pairs seen; inputs as in `PairMetric`.

    Args:
        threshold: a distance; `evaluation.verification` finds a good one.
        name, dtype: as for every Keras metric.
    """

    _direction = "up"

    def __init__(self, threshold=0.5, name: str | None = "accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.threshold = checks.number(threshold, "threshold", "PairAccuracy")
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds the pairs of a batch, each with its weight."""
        same, distances, weights = self.pairs(y_true, y_pred, sample_weight)
        right = pair_accuracy(same, distances, self.threshold)
        self.total.assign_add(ops.cast(ops.sum(right * weights), self.total.dtype))
        self.count.assign_add(ops.cast(ops.sum(weights), self.count.dtype))

    def result(self):
        """A scalar; NaN without pairs."""
        return mean_or_nan(self.total, self.count)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "threshold": self.threshold}
