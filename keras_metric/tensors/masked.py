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
    return _recomputed(values, weights, _log_sum_exp)


def log_one_plus_sum_exp(values, weights):
    """log(1 + Σ w·exp(v)) over entries of weight > 0; exactly 0 in an empty row."""
    return _recomputed(values, weights, _log_one_plus_sum_exp)


def log_add_exp(column, row):
    """log(exp(x) + exp(y)) of (B, 1) and (1, N) → (B, N), also where one or both are -LARGE.

    Equal arguments share the gradient, which keeps no (B, N) matrix.
    """

    def forward(x, y):
        top = ops.maximum(x, y)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            # Adds 0. Without a tie to the upstream a graph makes `share` during the forward pass and holds it.
            late = x + ops.minimum(ops.abs(upstream[:, :1]), 0.0)
            share = ops.sigmoid(late - y)
            by_x = ops.sum(upstream * share, axis=1, keepdims=True)
            return by_x, ops.sum(upstream * (1.0 - share), axis=0, keepdims=True)

        return top + ops.log1p(ops.exp(-ops.abs(x - y))), gradient

    return ops.custom_gradient(forward)(column, row)


def _recomputed(values, weights, function):
    """`function(values, weights)`, a logarithm of a sum of exponentials, with its slopes made anew for the gradient.

    Differentiating the formula would keep the exponentials, one more matrix of the size of the values.
    """

    def forward(values, weights):
        logs = function(values, weights)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            # Entries left out become -LARGE before `exp`, since 0 · inf would be NaN.
            exponents = ops.where(weights > 0, values - logs[..., None], -LARGE)
            return upstream[..., None] * weights * ops.exp(exponents), ops.zeros_like(weights)

        return logs, gradient

    return ops.custom_gradient(forward)(values, ops.stop_gradient(weights))


def _log_sum_exp(values, weights):
    kept, top = _kept_and_top(values, weights)
    top = ops.where(top > -LARGE, top, ops.zeros_like(top))
    total = ops.sum(weights * ops.exp(kept - top[..., None]), axis=-1)
    some = total > 0
    logs = ops.log(ops.where(some, total, ops.ones_like(total))) + top
    return ops.where(some, logs, ops.full_like(logs, -LARGE))


def _log_one_plus_sum_exp(values, weights):
    kept, top = _kept_and_top(values, weights)
    top = ops.maximum(top, 0.0)
    total = ops.sum(weights * ops.exp(kept - top[..., None]), axis=-1)
    return ops.log(ops.exp(-top) + total) + top


def _kept_and_top(values, weights):
    kept = ops.where(weights > 0, values, -LARGE)
    return kept, ops.max(kept, axis=-1)
