"""Reductions over the last axis in which a weight of 0 leaves an entry out.

An empty row gives a stated finite value with a zero gradient. Weights carry no gradient.
"""

from keras import ops

from keras_metric.tensors.numerics import LARGE


def masked_max(values, weights):
    """Largest value of weight > 0, -LARGE in an empty row; shape without the last axis."""
    return ops.max(ops.where(weights > 0, values, -LARGE), axis=-1)


def masked_min(values, weights):
    """Smallest value of weight > 0, +LARGE in an empty row; shape without the last axis."""
    return ops.min(ops.where(weights > 0, values, LARGE), axis=-1)


def any_weight(weights):
    """1 for rows with a weight > 0, else 0; shape without the last axis."""
    return ops.cast(ops.any(weights > 0, axis=-1), weights.dtype)


def log_sum_exp(values, weights):
    """log Σ w·exp(v) over entries of weight > 0; -LARGE (and no gradient) in an empty row."""
    top = ops.stop_gradient(masked_max(values, weights))
    top = ops.where(top > -LARGE, top, ops.zeros_like(top))
    total = ops.sum(_weighted_exp(values - top[..., None], weights), axis=-1)
    some = total > 0
    logs = ops.log(ops.where(some, total, ops.ones_like(total))) + top
    return ops.where(some, logs, ops.full_like(logs, -LARGE))


def log_one_plus_sum_exp(values, weights):
    """log(1 + Σ w·exp(v)) over entries of weight > 0; exactly 0 in an empty row."""
    top = ops.maximum(ops.stop_gradient(masked_max(values, weights)), 0.0)
    total = ops.sum(_weighted_exp(values - top[..., None], weights), axis=-1)
    return ops.log(ops.exp(-top) + total) + top


def _weighted_exp(exponents, weights):
    # The inner `where` keeps entries left out from overflowing: 0 · inf would be NaN.
    kept = weights > 0
    return weights * ops.exp(ops.where(kept, exponents, -LARGE))
