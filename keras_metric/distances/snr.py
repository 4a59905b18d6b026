"""Signal-to-noise-ratio distance."""

from keras import ops

from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.distances.squared_euclidean import squared_distances


@DISTANCES.register("snr")
class SNRDistance(Distance):
    """var(x−y) / var(x) over the D coordinates, in [0, ∞); the similarity is −d. Not symmetric.

    A constant `x` carries no signal: where var(x) = 0 the distance is 0 with a zero gradient.

    References:
        Yuan et al., "Signal-to-Noise Ratio: A Robust Distance Metric for Deep Metric Learning", CVPR 2019,
        arXiv:1904.02616, equation 5.
    """

    def _pairwise(self, x, y):
        x, y = _centered(x), _centered(y)
        return _ratio(squared_distances(x, y), ops.sum(x * x, axis=-1, keepdims=True))

    def _between(self, x, y):
        x, y = _centered(x), _centered(y)
        difference = x - y
        return _ratio(ops.sum(difference * difference, axis=-1), ops.sum(x * x, axis=-1))


def _centered(x):
    return x - ops.mean(x, axis=-1, keepdims=True)


def _ratio(noise, signal):
    some = signal > 0
    return ops.where(some, noise / ops.where(some, signal, ops.ones_like(signal)), 0.0)
