"""Squared Euclidean distance."""

from keras import ops

from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.tensors.numerics import epsilon


def squared_distances(x, y):
    """Σ(x−y)² between all rows, with zero for what is within rounding of it: see `product_form`."""
    squared, noise = product_form(x, y)
    return ops.where(squared > noise, squared, 0.0)


def product_form(x, y):
    """Σ(x−y)² between all rows, (B, D) and (N, D) → (B, N), as one matrix product.

    |x|² − 2xy + |y|² loses digits where rows are close but far from the origin. Two things are done about it: both
    sides are moved by about the mean of `x`, which changes no distance; and a result that is within rounding of zero
    is to count as exactly 0. Otherwise the error of d² is about 1e-7 · (|x|² + |y|²), after the move.

    Returns:
        The squared distances (B, N), slightly negative ones among them, and the noise (B, 1) up to which they are zero.
    """
    center = ops.stop_gradient(_rounded_mean(x))
    x, y = x - center, y - center
    xx = ops.sum(x * x, axis=1, keepdims=True)
    yy = ops.sum(y * y, axis=1, keepdims=True)
    # [−2x, |x|², 1] · [y, 1, |y|²]: the sum inside the product saves passes over the (B, N) matrix.
    left = ops.concatenate([-2.0 * x, xx, ops.ones_like(xx)], axis=1)
    right = ops.concatenate([y, ops.ones_like(yy), yy], axis=1)
    squared = ops.matmul(left, ops.transpose(right))  # (B, N)
    return squared, ops.stop_gradient(8.0 * epsilon(x) * xx)


def _rounded_mean(x):
    """Mean of the rows (1, D), in steps of a power of two up to the spread.

    Integers and other short numbers are then moved exactly, so that equal distances between them stay equal.
    """
    mean = ops.mean(x, axis=0, keepdims=True)
    spread = ops.max(ops.abs(x - mean), axis=0, keepdims=True, initial=0.0)
    varies = spread > 1e-30
    step = ops.power(2.0, ops.floor(ops.log2(ops.where(varies, spread, 1.0))))
    return ops.where(varies, ops.round(mean / step) * step, mean)


@DISTANCES.register("squared_euclidean")
class SquaredEuclideanDistance(Distance):
    """Σ(x−y)², in [0, ∞); the similarity is −d."""

    def _pairwise(self, x, y):
        return squared_distances(x, y)

    def _between(self, x, y):
        difference = x - y
        return ops.sum(difference * difference, axis=-1)
