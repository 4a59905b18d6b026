"""From distances to probabilities of "same"."""

import keras
from keras import ops

from keras_metric import checks
from keras_metric.layers.base import LAYERS
from keras_metric.tensors.numerics import as_float


@LAYERS.register("distance_similarity")
class DistanceSimilarity(keras.layers.Layer):
    """Probability that a pair is of one class: σ(bias − scale·d²). It falls with distance.

    Both are trainable, for example with `binary_crossentropy` on a Siamese model's distances; the scale never
    becomes negative. Computes in float32 also under a mixed precision policy.

    Args:
        scale: initial steepness, >= 0, per squared unit of the distance. Default 1.
        bias: initial log-odds of "same" at distance 0. Default 0; the probability is ½ at d² = bias / scale.

    Call arguments:
        distances: any shape, for example (B, 1) from `models.siamese_pair`.

    Returns:
        Probabilities in (0, 1), of the same shape.
    """

    def __init__(self, scale=1.0, bias=0.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        owner = "DistanceSimilarity"
        self.initial_scale = checks.number(scale, "scale", owner, at_least=0)
        self.initial_bias = checks.number(bias, "bias", owner)

    def build(self, input_shape):
        """Creates the two weights."""
        self.scale = self.add_weight(
            autocast=False,
            name="scale",
            shape=(),
            initializer=keras.initializers.Constant(self.initial_scale),
            constraint=keras.constraints.NonNeg(),
        )
        self.bias = self.add_weight(
            autocast=False,
            name="bias",
            shape=(),
            initializer=keras.initializers.Constant(self.initial_bias),
        )

    def call(self, distances):
        """Probabilities of "same"."""
        distances = as_float(distances)
        scale = ops.cast(self.scale, distances.dtype)
        bias = ops.cast(self.bias, distances.dtype)
        return ops.sigmoid(bias - scale * distances * distances)

    def get_config(self):
        """Constructor arguments."""
        own = {"scale": self.initial_scale, "bias": self.initial_bias}
        return {**super().get_config(), **own}
