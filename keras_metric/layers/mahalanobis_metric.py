"""A learned Mahalanobis metric."""

import keras
from keras import ops

from keras_metric import checks
from keras_metric.layers.base import LAYERS
from keras_metric.tensors.numerics import as_float


@LAYERS.register("mahalanobis_metric")
class MahalanobisMetric(keras.layers.Layer):
    """x ↦ Lx, so that the Euclidean distance of outputs is √((x − y)ᵀ LᵀL (x − y)), a Mahalanobis distance of inputs.

    It begins as the identity (or, with a smaller rank, as the first coordinates). LᵀL is positive semi-definite
    whatever L is, so no step of an optimiser can leave the set of metrics.

    Args:
        rank: rows of L, 1 <= rank <= D; None: D, a full matrix.

    Call arguments:
        inputs: (…, D).

    Returns:
        (…, rank), float32 also under a mixed precision policy.

    References:
        Weinberger and Saul, "Distance Metric Learning for Large Margin Nearest Neighbor Classification", JMLR 2009,
        equation 2.
    """

    def __init__(self, rank=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.rank = None if rank is None else checks.whole(rank, "rank", "MahalanobisMetric")

    def build(self, input_shape):
        """Creates `kernel` = Lᵀ, (D, rank)."""
        dimensions = input_shape[-1]
        if dimensions is None:
            raise ValueError(
                "`inputs` of MahalanobisMetric must have a known last axis. "
                f"Received: shape {tuple(input_shape)}."
            )
        rank = self.rank or dimensions
        if rank > dimensions:
            checks.fail("rank", "MahalanobisMetric", f"be <= the {dimensions} dimensions", rank)
        self.kernel = self.add_weight(
            autocast=False,
            name="kernel",
            shape=(dimensions, rank),
            initializer=lambda shape, dtype=None: ops.eye(*shape, dtype=dtype),
        )

    def call(self, inputs):
        """Lx for each vector."""
        inputs = as_float(inputs)
        return ops.matmul(inputs, ops.cast(self.kernel, inputs.dtype))

    def matrix(self):
        """LᵀL (D, D), the matrix of the metric."""
        kernel = ops.convert_to_tensor(self.kernel)
        return ops.matmul(kernel, ops.transpose(kernel))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "rank": self.rank}
