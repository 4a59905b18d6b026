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
    kept, top = _kept_and_top(values, weights)
    top = ops.where(top > -LARGE, top, ops.zeros_like(top))
    total = ops.sum(weights * ops.exp(kept - top[..., None]), axis=-1)
    some = total > 0
    logs = ops.log(ops.where(some, total, ops.ones_like(total))) + top
    return ops.where(some, logs, ops.full_like(logs, -LARGE))


def log_one_plus_sum_exp(values, weights):
    """log(1 + Σ w·exp(v)) over entries of weight > 0; exactly 0 in an empty row."""
    kept, top = _kept_and_top(values, weights)
    top = ops.maximum(top, 0.0)
    total = ops.sum(weights * ops.exp(kept - top[..., None]), axis=-1)
    return ops.log(ops.exp(-top) + total) + top


def log_add_exp(x, y):
    """log(exp(x) + exp(y)), also where one or both are -LARGE; equal arguments share the gradient."""
    top = ops.stop_gradient(ops.maximum(x, y))
    return ops.log(ops.exp(x - top) + ops.exp(y - top)) + top


def _kept_and_top(values, weights):
    # Entries left out become -LARGE before `exp`, since 0 · inf would be NaN.
    kept = ops.where(weights > 0, values, -LARGE)
    return kept, ops.stop_gradient(ops.max(kept, axis=-1))
