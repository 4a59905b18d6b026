"""Generalised mean (GeM) pooling."""

import keras
from keras import ops

from keras_metric import checks
from keras_metric.layers.base import LAYERS
from keras_metric.tensors.numerics import as_float


@LAYERS.register("generalized_mean_pooling")
class GeneralizedMeanPooling(keras.layers.Layer):
    """(mean over places of max(x, ε)^p)^(1/p) for each channel: the mean for p = 1, towards the maximum for large p.

    Computed by logarithms, so that no activation overflows at any p, and in float32 also under a mixed
    precision policy.

    Args:
        p: initial power, >= 1; it is kept >= 1 while training.
        epsilon: smallest activation, > 0; the paper's clamp. Smaller ones get no gradient.
        trainable: whether p is learned, as for every layer. Default True.

    Call arguments:
        inputs: (B, …, channels), with one axis of places or more between.

    Returns:
        (B, channels).

    References:
        Radenović, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019,
        arXiv:1711.02512, equation 3; one p for all channels.
    """

    def __init__(self, p=3.0, epsilon=1e-6, **kwargs):
        super().__init__(autocast=False, **kwargs)
        owner = "GeneralizedMeanPooling"
        self.initial_p = checks.number(p, "p", owner, at_least=1)
        self.epsilon = checks.number(epsilon, "epsilon", owner, above=0)

    def build(self, input_shape):
        """Creates `p`."""
        if len(input_shape) < 3:
            raise ValueError(
                "`inputs` of GeneralizedMeanPooling must have the shape (batch, places…, channels). "
                f"Received: shape {tuple(input_shape)}."
            )
        self.p = self.add_weight(
            autocast=False,
            name="p",
            shape=(),
            initializer=keras.initializers.Constant(self.initial_p),
            constraint=_AtLeastOne(),
        )

    def call(self, inputs):
        """Generalised means (B, channels)."""
        inputs = as_float(inputs)
        p = ops.cast(self.p, inputs.dtype)
        places = tuple(range(1, len(inputs.shape) - 1))
        logs = ops.log(ops.maximum(inputs, self.epsilon))
        top = ops.stop_gradient(ops.max(logs, axis=places, keepdims=True))
        means = ops.mean(ops.exp(p * (logs - top)), axis=places)
        return ops.exp(ops.log(means) / p + ops.squeeze(top, axis=places))

    def compute_output_spec(self, inputs):
        """Shape (B, channels)."""
        dtype = "float64" if inputs.dtype == "float64" else "float32"
        return keras.KerasTensor((inputs.shape[0], inputs.shape[-1]), dtype=dtype)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "p": self.initial_p, "epsilon": self.epsilon}


class _AtLeastOne(keras.constraints.Constraint):
    """Between the mean and the maximum."""

    def __call__(self, w):
        return ops.maximum(w, 1.0)
