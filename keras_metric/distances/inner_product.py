"""Negative inner product."""

from keras import ops

from keras_metric.distances.base import DISTANCES, Distance


@DISTANCES.register("inner_product")
class InnerProductDistance(Distance):
    """−⟨x, y⟩, unbounded; the similarity is the inner product, −d."""

    def _pairwise(self, x, y):
        return -ops.matmul(x, ops.transpose(y))

    def _between(self, x, y):
        return -ops.sum(x * y, axis=-1)
