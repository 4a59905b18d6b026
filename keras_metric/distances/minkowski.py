"""Minkowski distance."""

from keras import ops

from keras_metric import checks
from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.distances.coordinates import over_coordinates
from keras_metric.tensors.numerics import absolute


@DISTANCES.register("minkowski")
class MinkowskiDistance(Distance):
    """(Σ|x−y|^p)^(1/p), in [0, ∞); the similarity is −d. Memory O(B·N), time O(B·N·D).

    Differences are divided by the largest of their pair before the power, so that no p overflows.

    Args:
        p: order, >= 1.
    """

    def __init__(self, p=3.0):
        self.p = checks.number(p, "p", "MinkowskiDistance", at_least=1)

    def _pairwise(self, x, y):
        def forward(fold, zeros):
            largest = fold(lambda top, diff, k: ops.maximum(top, ops.abs(diff)), zeros)
            safe = ops.where(largest > 0, largest, ops.ones_like(largest))
            powers = fold(lambda total, diff, k: total + (ops.abs(diff) / safe) ** self.p, zeros)
            distances = largest * powers ** (1.0 / self.p)
            return distances, distances

        def slope(difference, k, distances):
            share = ops.abs(difference) / ops.where(distances > 0, distances, 1.0)
            return ops.sign(difference) * share ** (self.p - 1.0)

        return over_coordinates(x, y, forward, slope)

    def _between(self, x, y):
        difference = absolute(x - y)
        largest = ops.max(ops.stop_gradient(difference), axis=-1, keepdims=True, initial=0.0)
        apart = largest > 0
        # A power has a finite slope only above 0; pairs at distance 0 are left out before it.
        shares = ops.where(apart, difference / ops.where(apart, largest, 1.0), 0.0)
        nonzero = shares > 0
        powers = ops.where(nonzero, ops.where(nonzero, shares, 1.0) ** self.p, 0.0)
        total = ops.sum(powers, axis=-1)
        some = total > 0
        root = ops.where(some, ops.where(some, total, 1.0) ** (1.0 / self.p), 0.0)
        return root * largest[..., 0]

    def get_config(self):
        """The order p."""
        return {"p": self.p}
