"""Cosine distance."""

from keras import ops

from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.tensors.numerics import unit_rows


@DISTANCES.register("cosine")
class CosineDistance(Distance):
    """1 − cos(x, y), in [0, 2]; the similarity is the cosine, 1 − d.

    Normalises its input. A zero vector has cosine 0 with everything and a zero gradient.
    """

    bounded = True

    def _pairwise(self, x, y):
        units = unit_rows(x)
        others = units if y is x else unit_rows(y)
        return 1.0 - ops.matmul(units, ops.transpose(others))

    def _between(self, x, y):
        return 1.0 - ops.sum(unit_rows(x) * unit_rows(y), axis=-1)

    def similarity(self, distances):
        """cos(x, y)."""
        return 1.0 - distances
