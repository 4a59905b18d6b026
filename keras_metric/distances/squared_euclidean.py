"""Squared Euclidean distance."""

from keras import ops

from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.tensors.numerics import epsilon


def squared_distances(x, y):
    """Σ(x−y)² between all rows, (B, D) and (N, D) → (B, N), as one matrix product.

    |x|² − 2xy + |y|² loses digits where rows are close but far from the origin. Two things are done about it: both
    sides are moved by the mean of `x`, which changes no distance; and a result that is within rounding of zero
    is exactly 0, with a zero gradient. Otherwise the error of d² is about 1e-7 · (|x|² + |y|²), after the move.
    """
    center = ops.stop_gradient(ops.mean(x, axis=0, keepdims=True))
    x, y = x - center, y - center
    xx = ops.sum(x * x, axis=1, keepdims=True)
    yy = ops.sum(y * y, axis=1, keepdims=True)
    # [−2x, |x|², 1] · [y, 1, |y|²]: the sum inside the product saves passes over the (B, N) matrix.
    left = ops.concatenate([-2.0 * x, xx, ops.ones_like(xx)], axis=1)
    right = ops.concatenate([y, ops.ones_like(yy), yy], axis=1)
    squared = ops.matmul(left, ops.transpose(right))  # (B, N)
    noise = ops.stop_gradient(8.0 * epsilon(x) * xx)  # (B, 1)
    return ops.where(squared > noise, squared, 0.0)


@DISTANCES.register("squared_euclidean")
class SquaredEuclideanDistance(Distance):
    """Σ(x−y)², in [0, ∞); the similarity is −d."""

    def _pairwise(self, x, y):
        return squared_distances(x, y)

    def _between(self, x, y):
        difference = x - y
        return ops.sum(difference * difference, axis=-1)
