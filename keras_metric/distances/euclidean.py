"""Euclidean distance."""

from keras import ops

from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.distances.squared_euclidean import product_form
from keras_metric.tensors.numerics import safe_sqrt


@DISTANCES.register("euclidean")
class EuclideanDistance(Distance):
    """√Σ(x−y)², in [0, ∞); the similarity is −d."""

    def _pairwise(self, x, y):
        return safe_sqrt(*product_form(x, y))

    def _between(self, x, y):
        # Scaled by its largest entry, a difference of 1e-30 or 1e30 neither vanishes nor overflows.
        difference = x - y
        scale = ops.max(ops.abs(ops.stop_gradient(difference)), axis=-1, keepdims=True, initial=0.0)
        scale = ops.where(scale > 0, scale, ops.ones_like(scale))
        scaled = difference / scale
        return safe_sqrt(ops.sum(scaled * scaled, axis=-1)) * scale[..., 0]
