"""Hamming distance of signs."""

from keras import ops

from keras_metric.distances.base import DISTANCES, Distance


@DISTANCES.register("hamming")
class HammingDistance(Distance):
    """Share of coordinates whose signs differ, in [0, 1]; the similarity is 1 − d.

    Compares signs in {−1, 0, 1}: for codes of ±1 or 0/1. Not differentiable: every gradient is zero, so it serves
    search and evaluation, and no loss can train through it.
    """

    bounded = True
    differentiable = False

    def _pairwise(self, x, y):
        equal = 0.0
        for codes_x, codes_y in zip(_indicators(x), _indicators(y), strict=True):
            equal = equal + ops.matmul(codes_x, ops.transpose(codes_y))
        return ops.stop_gradient(1.0 - equal / x.shape[-1])

    def _between(self, x, y):
        differs = ops.cast(ops.sign(x) != ops.sign(y), x.dtype)
        return ops.stop_gradient(ops.mean(differs, axis=-1))

    def similarity(self, distances):
        """Share of coordinates with equal signs."""
        return 1.0 - distances


def _indicators(x):
    return [ops.cast(condition, x.dtype) for condition in (x > 0, x < 0, x == 0)]
