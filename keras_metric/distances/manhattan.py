"""Manhattan distance."""

from keras import ops

from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.distances.coordinates import over_coordinates
from keras_metric.tensors.numerics import absolute


@DISTANCES.register("manhattan")
class ManhattanDistance(Distance):
    """Σ|x−y|, in [0, ∞); the similarity is −d. Memory O(B·N), time O(B·N·D)."""

    def _pairwise(self, x, y):
        def forward(fold, zeros):
            return fold(lambda total, difference, k: total + ops.abs(difference), zeros), None

        return over_coordinates(x, y, forward, lambda difference, k, saved: ops.sign(difference))

    def _between(self, x, y):
        return ops.sum(absolute(x - y), axis=-1)
