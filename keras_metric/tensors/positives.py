"""Walks over the positives of all anchors at once: first positives, second positives, and so on.

An anchor has few positives in a P×K batch. One pass over the (B, N) matrix for each of them is then faster than sorting
the row, and needs no (B, B, B) cube.
"""

from keras import ops

from keras_metric.tensors.numerics import LARGE

FEW = 12  # up to this many positives for an anchor, passes beat a sort (benchmarks/losses.py)


def most_positives(positives):
    """Largest number of entries > 0 in a row of (B, N), as an int32 scalar."""
    counts = ops.sum(ops.cast(positives > 0, "int32"), axis=-1)
    return ops.max(counts, initial=0)


def positive_columns(positives, few):
    """Columns of each anchor's positives, in their order, with their weights: two (B, M).

    Args:
        positives: weights (B, N).
        few: True for M = FEW, enough if no row has more; False for M = N.
    """
    present = ops.cast(positives > 0, positives.dtype)
    if few:
        # Padding keeps top_k legal for batches of fewer rows than FEW.
        columns = ops.top_k(ops.pad(present, ((0, 0), (0, FEW))), FEW)[1]
        columns = ops.minimum(columns, ops.shape(positives)[1] - 1)
        repeated = ops.cumsum(ops.ones_like(columns), axis=1) > ops.sum(
            ops.cast(present, "int32"), axis=1, keepdims=True
        )
    else:
        columns = ops.argsort(-present, axis=1)
        repeated = False
    weights = ops.take_along_axis(positives, columns, axis=1)
    return columns, ops.where(repeated, ops.zeros_like(weights), weights)


def for_each_positive(step, count, state):
    """`state = step(k, state)` for k = 0 … count−1, `count` being a scalar known only when running.

    Not for differentiation: stop the gradient of what goes in.
    """

    def body(k, *state):
        return (k + 1, *step(k, state))

    start = ops.zeros_like(count)
    return ops.while_loop(lambda k, *_: k < count, body, (start, *state))[1:]


def column_of(matrix, k):
    """Column k of (B, M), as (B,); k may be a tensor."""
    return ops.take(matrix, k, axis=1)


def put_column(matrix, k, values):
    """(B, M) with column k replaced by `values` (B,)."""
    return ops.slice_update(matrix, (0, k), values[:, None])


def one_hot_columns(columns, like):
    """1.0 at one column of each row: (B,) → the shape of `like`, (B, N)."""
    index = ops.cumsum(ops.ones_like(like[:1], dtype="int32"), axis=1) - 1
    return ops.cast(index == ops.cast(columns, "int32")[:, None], like.dtype)


def pick(matrix, columns):
    """Entry of each row at its column: (B, N), (B,) → (B,)."""
    return ops.take_along_axis(matrix, columns[:, None], axis=1)[:, 0]


def nearest_beyond(distances, negatives, thresholds):
    """Column of each row's nearest negative strictly beyond a threshold, or, if none, of its farthest negative.

    Args:
        distances: (B, N).
        negatives: weights (B, N).
        thresholds: (B,).
    """
    beyond = ops.where(
        ops.logical_and(negatives > 0, distances > thresholds[:, None]), distances, LARGE
    )
    nearest = ops.argmin(beyond, axis=1)
    found = pick(beyond, nearest) < LARGE
    farthest = ops.argmax(ops.where(negatives > 0, distances, -LARGE), axis=1)
    return ops.where(found, nearest, farthest)
