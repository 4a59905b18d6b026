"""Chebyshev distance."""

from keras import ops

from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.distances.coordinates import over_coordinates
from keras_metric.tensors.numerics import absolute


@DISTANCES.register("chebyshev")
class ChebyshevDistance(Distance):
    """max|x−y|, in [0, ∞); the similarity is −d. Memory O(B·N), time O(B·N·D).

    The gradient goes through the first of the coordinates that tie.
    """

    def _pairwise(self, x, y):
        def step(state, difference, k):
            largest, at = state
            size = ops.abs(difference)
            larger = size > largest
            return ops.where(larger, size, largest), ops.where(larger, ops.cast(k, "int32"), at)

        def forward(fold, zeros):
            largest, at = fold(step, (zeros, ops.cast(zeros, "int32")))
            return largest, at

        def slope(difference, k, at):
            return ops.where(at == ops.cast(k, "int32"), ops.sign(difference), 0.0)

        return over_coordinates(x, y, forward, slope)

    def _between(self, x, y):
        difference = x - y
        first = ops.argmax(ops.abs(difference), axis=-1)
        largest = ops.take_along_axis(difference, ops.expand_dims(first, -1), axis=-1)
        return absolute(largest[..., 0])
