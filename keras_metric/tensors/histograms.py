"""Soft histograms of the rows of a matrix, without a (B, N, bins) cube."""

from keras import ops

from keras_metric.tensors.numerics import row_zeros
from keras_metric.tensors.positives import column_of, for_each_positive, put_column


def soft_histograms(values, first, second, bins, upper):
    """Weighted histograms of each row, with triangular bins centred at 0, upper/bins, 2·upper/bins, …, upper.

    A value counts in its two neighbouring bins, in proportion to its closeness to their centres.

    Args:
        values: (B, N), in [0, upper].
        first, second: two weights, (B, N) each, without gradient.
        bins: number of intervals; there is one more bin.
        upper: largest value.

    Returns:
        The histograms with either weight, (B, bins + 1) each. The gradient computes the bins again, one by one.
    """
    fill = ops.custom_gradient(lambda *args: _fill(*args, bins=bins, width=upper / bins))
    both = fill(values, first, second)  # (2, B, bins + 1)
    return both[0], both[1]


def _fill(values, first, second, bins, width):
    zeros = row_zeros(values)
    count = ops.zeros_like(ops.sum(zeros), dtype="int32") + (bins + 1)

    def from_center(k):
        return values / width - ops.cast(k, values.dtype)

    def add_bin(k, state):
        share = ops.relu(1.0 - ops.abs(from_center(k)))
        columns = (ops.sum(first * share, axis=1), ops.sum(second * share, axis=1))
        return tuple(put_column(s, k, c) for s, c in zip(state, columns, strict=True))

    empty = ops.tile(zeros[:, None], (1, bins + 1))
    histograms = for_each_positive(add_bin, count, (empty, empty))

    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream  # (2, B, bins + 1)

        def add_slopes(k, state):
            offset = from_center(k)
            slope = ops.where(ops.abs(offset) < 1.0, -ops.sign(offset) / width, 0.0)
            by_share = (
                column_of(upstream[0], k)[:, None] * first
                + column_of(upstream[1], k)[:, None] * second
            )
            return (state[0] + slope * by_share,)

        flat = ops.zeros_like(values)
        return for_each_positive(add_slopes, count, (flat,))[0], flat, flat

    return ops.stack(histograms), gradient
