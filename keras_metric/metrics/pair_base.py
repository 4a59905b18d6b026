"""What metrics of given pairs share: distances and "same" of a batch, and histograms of them that keep their size."""

import abc

import keras
from keras import ops

from keras_metric import checks
from keras_metric.tensors.numerics import as_float

BINS = 2**15
FINEST = 1e-4  # distances below it share few bins
LARGEST = 1e6  # distances beyond it share the last bin


class PairMetric(keras.metrics.Metric, abc.ABC):
    """Base of metrics of pairs, as the Siamese models give them.

    Inputs: `y_true` 1 = same, 0 = different, `(batch,)` or `(batch, 1)`; `y_pred` distances likewise, small = close.
    """

    def pairs(self, y_true, y_pred, sample_weight):
        """`(same, distances, weights)`, (B,) each, floating; the weight is NaN where a distance is, or where `y_true`
        is beyond 0 and 1 (class ids, for example)."""
        owner = type(self).__name__
        distances = as_float(y_pred)
        dtype = distances.dtype
        distances = _as_vector(distances, "y_pred", owner)
        same = _as_vector(ops.cast(ops.convert_to_tensor(y_true), dtype), "y_true", owner)
        checks.same_rows(same, "y_true", distances, "y_pred", owner)
        weights = ops.ones_like(distances)
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, dtype), (-1,))
        wrong = ops.isnan(distances) | (same < 0) | (same > 1)
        return same, distances, ops.where(wrong, float("nan"), weights)


class HistogramMetric(PairMetric):
    """Base of metrics from the histograms of the distances of same and of different pairs, over all batches.

    The bins are 0.14 % of the distance wide (from 1e-4 to 1e6, of either sign), so that they fit every distance; the
    figure is what is known of these bins. For exact figures over a whole set see `evaluation.verification`. NaN until
    there are pairs of both kinds, and if a distance is NaN or `y_true` holds anything beyond 0 and 1.

    Args:
        name, dtype: as for every Keras metric.
    """

    def __init__(self, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.same = self.add_variable(shape=(BINS,), initializer="zeros", name="same")
        self.different = self.add_variable(shape=(BINS,), initializer="zeros", name="different")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts the pairs of a batch, each with its weight."""
        same, distances, weights = self.pairs(y_true, y_pred, sample_weight)
        bins = bins_of(distances)
        for histogram, share in ((self.same, same), (self.different, 1.0 - same)):
            counts = ops.segment_sum(share * weights, bins, num_segments=BINS)
            histogram.assign_add(ops.cast(counts, histogram.dtype))

    def result(self):
        """A scalar."""
        same, different = ops.sum(self.same), ops.sum(self.different)
        both = ops.logical_and(same > 0, different > 0)
        value = self.from_shares(
            self.same / ops.where(both, same, 1.0), self.different / ops.where(both, different, 1.0)
        )
        return ops.where(both, value, float("nan"))

    @abc.abstractmethod
    def from_shares(self, same, different):
        """The figure from histograms (bins,) that sum to 1 each."""


def bins_of(distances):
    """Number of the bin of each distance, int32, rising with the distance."""
    distances = ops.where(ops.isnan(distances), 0.0, distances)
    most = ops.log1p(ops.convert_to_tensor(LARGEST / FINEST, dtype=distances.dtype))
    place = ops.sign(distances) * ops.log1p(ops.abs(distances) / FINEST) / most  # in [-1, 1]
    bins = ops.floor((place + 1.0) * (BINS / 2))
    return ops.cast(ops.clip(bins, 0, BINS - 1), "int32")


def _as_vector(tensor, name, owner):
    if len(tensor.shape) not in (1, 2) or (
        len(tensor.shape) == 2 and tensor.shape[1] not in (1, None)
    ):
        checks.fail_shape(name, owner, "have the shape (batch,) or (batch, 1)", tensor)
    return ops.reshape(tensor, (-1,))
