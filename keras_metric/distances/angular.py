"""Angular distance."""

from keras import ops

from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.tensors.numerics import safe_arccos, unit_rows


@DISTANCES.register("angular")
class AngularDistance(Distance):
    """arccos(cos(x, y)), the angle in radians, in [0, π]; the similarity is cos d.

    Angles below about 1e-3 come out as 0 in float32, where the cosine cannot tell them from 0.
    """

    bounded = True

    def _pairwise(self, x, y):
        units = unit_rows(x)
        others = units if y is x else unit_rows(y)
        return safe_arccos(ops.matmul(units, ops.transpose(others)))

    def _between(self, x, y):
        return safe_arccos(ops.sum(unit_rows(x) * unit_rows(y), axis=-1))

    def similarity(self, distances):
        """cos d."""
        return ops.cos(distances)
