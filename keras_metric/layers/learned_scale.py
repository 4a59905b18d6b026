"""Learned temperature and bias."""

import math

import keras
from keras import ops

from keras_metric import checks
from keras_metric.layers.base import LAYERS
from keras_metric.tensors.numerics import as_float, unit_rows


@LAYERS.register("learned_scale")
class LearnedScale(keras.layers.Layer):
    """t·s + b with a learned scale t = e^τ (a temperature of 1/t) and, if wanted, a learned bias b.

    After `ProxySimilarity` it scales the similarities (B, C). After `models.two_tower` it works on stacked embeddings
    (B, T, D): it gives (B, T, D + 1) whose inner product between the first tower and another is t·cos + b. Use it with
    `InfoNCELoss(temperature=1.0, distance="inner_product")` (CLIP) or
    `SigmoidPairLoss(scale=1.0, bias=0.0, distance="inner_product")` (SigLIP: `LearnedScale(10.0, -10.0)`).

    Args:
        scale: initial t, > 0. Default 10.
        bias: initial b; None: no bias.
        max_scale: t is kept at or below it; None: no limit. CLIP's is 100.

    Call arguments:
        inputs: similarities (B, C) or stacked embeddings (B, T, D), T >= 2.

    Returns:
        (B, C) or (B, T, D + 1), float32 also under a mixed precision policy.

    References:
        Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021,
        arXiv:2103.00020, section 2.4; Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023,
        arXiv:2303.15343, section 3.2.
    """

    def __init__(self, scale=10.0, bias=None, max_scale: float | None = 100.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        owner = "LearnedScale"
        self.initial_scale = checks.number(scale, "scale", owner, above=0)
        self.initial_bias = None if bias is None else checks.number(bias, "bias", owner)
        self.max_scale = max_scale
        if max_scale is not None:
            self.max_scale = checks.number(max_scale, "max_scale", owner, at_least=scale)

    def build(self, input_shape):
        """Creates `log_scale` and, if wanted, `bias`."""
        limit = None if self.max_scale is None else _AtMost(math.log(self.max_scale))
        self.log_scale = self.add_weight(
            autocast=False,
            name="log_scale",
            shape=(),
            initializer=keras.initializers.Constant(math.log(self.initial_scale)),
            constraint=limit,
        )
        self.bias = None
        if self.initial_bias is not None:
            constant = keras.initializers.Constant(self.initial_bias)
            self.bias = self.add_weight(autocast=False, name="bias", shape=(), initializer=constant)

    def call(self, inputs):
        """Scaled similarities, or embeddings with scaled similarities."""
        inputs = as_float(inputs)
        log_scale = ops.cast(self.log_scale, inputs.dtype)
        bias = 0.0 if self.bias is None else ops.cast(self.bias, inputs.dtype)
        if len(inputs.shape) == 2:
            return ops.exp(log_scale) * inputs + bias
        if len(inputs.shape) != 3:
            checks.fail_shape(
                "inputs", "LearnedScale", "be similarities (batch, classes) or (batch, towers, dimensions)", inputs
            )  # fmt: skip
        scaled = ops.exp(0.5 * log_scale) * unit_rows(inputs)
        ones = ops.ones_like(scaled[:, :, :1])
        extra = ops.concatenate([bias * ones[:, :1], ones[:, 1:]], axis=1)
        return ops.concatenate([scaled, extra], axis=2)

    def get_config(self):
        """Constructor arguments."""
        own = {
            "scale": self.initial_scale,
            "bias": self.initial_bias,
            "max_scale": self.max_scale,
        }
        return {**super().get_config(), **own}


class _AtMost(keras.constraints.Constraint):
    """Keeps a weight at or below a limit after each step; clipping in `call` would leave no gradient to come back."""

    def __init__(self, limit):
        self.limit = limit

    def __call__(self, w):
        return ops.minimum(w, self.limit)
