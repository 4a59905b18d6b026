"""Hyperbolic distance in the Poincaré ball."""

from keras import ops

from keras_metric import checks
from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.distances.squared_euclidean import squared_distances
from keras_metric.tensors.numerics import safe_sqrt

# Share of the radius that inputs are kept within: float32 cannot tell points nearer the edge apart.
INSIDE = 1.0 - 1e-3


@DISTANCES.register("poincare")
class PoincareDistance(Distance):
    """Distance in the ball of radius 1/√c with curvature −c; the similarity is −d.

        d = (1/√c) · arcosh(1 + 2c|x−y|² / ((1−c|x|²)(1−c|y|²)))

    Inputs outside are projected to 0.999 of the radius.

    Args:
        curvature: c > 0.

    References:
        Nickel and Kiela, "Poincaré Embeddings for Learning Hierarchical Representations", NeurIPS 2017,
        arXiv:1705.08039, equation 1 (c = 1).
    """

    def __init__(self, curvature=1.0):
        self.curvature = checks.number(curvature, "curvature", "PoincareDistance", above=0)

    def _pairwise(self, x, y):
        x, y = self._project(x), self._project(y)
        gaps = self._gap(x)[:, None] * self._gap(y)[None, :]
        return self._distance(squared_distances(x, y), gaps)

    def _between(self, x, y):
        x, y = self._project(x), self._project(y)
        difference = x - y
        return self._distance(
            ops.sum(difference * difference, axis=-1), self._gap(x) * self._gap(y)
        )

    def _project(self, x):
        radius = INSIDE / self.curvature**0.5
        scale = ops.max(ops.abs(ops.stop_gradient(x)), axis=-1, keepdims=True, initial=0.0)
        scale = ops.where(scale > 1, scale, ops.ones_like(scale))  # so that no square overflows
        norm = scale * safe_sqrt(ops.sum((x / scale) * (x / scale), axis=-1, keepdims=True))
        outside = norm > radius
        return x * ops.where(outside, radius / ops.where(outside, norm, 1.0), 1.0)

    def _gap(self, x):
        return 1.0 - self.curvature * ops.sum(x * x, axis=-1)

    def _distance(self, squared, gaps):
        excess = 2.0 * self.curvature * squared / gaps
        # arcosh(1 + e) = log1p(e + √(e(e + 2))), accurate for small e.
        return ops.log1p(excess + safe_sqrt(excess * (excess + 2.0))) / self.curvature**0.5

    def get_config(self):
        """The curvature."""
        return {"curvature": self.curvature}
