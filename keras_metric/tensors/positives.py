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
    weights = at_columns(positives, columns)
    return columns, ops.where(repeated, ops.zeros_like(weights), weights)


def for_each_positive(step, count, state):
    """`state = step(k, state)` for k = 0 … count−1, `count` being a scalar known only when running.

    No gradient goes through it: a loop of unknown length cannot be differentiated under XLA.
    """
    state = tuple(map(ops.stop_gradient, state))

    def body(k, *state):
        state = step(k, state)
        # The 0 ties each pass to the one before: TensorFlow would run several at once, and hold all their matrices.
        zero = ops.minimum(ops.cast(ops.sum(state[0][:1]) > 0, k.dtype), 0)
        return (k + 1 + zero, *state)

    start = ops.zeros_like(count)
    state = ops.while_loop(lambda k, *_: k < count, body, (start, *state))[1:]
    return tuple(map(ops.stop_gradient, state))


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


def at_columns(matrix, columns):
    """Entries of each row at its columns: (B, N), (B, M) → (B, M).

    By flat indices, which costs half of `ops.take_along_axis` in time and in memory.
    """
    flat = _flat(columns, ops.shape(matrix)[1])
    return ops.reshape(ops.take(ops.reshape(matrix, (-1,)), flat), ops.shape(columns))


def spread(values, columns, like):
    """Values (B, M) added up at their columns of a matrix of zeros, of the shape of `like`: (B, N)."""
    rows, width = ops.shape(like)
    sums = ops.segment_sum(ops.reshape(values, (-1,)), _flat(columns, width), rows * width)
    return ops.reshape(sums, (rows, width))


def _flat(columns, width):
    """Indices of columns (B, M) into a flattened (B, width) matrix, (B·M,)."""
    columns = ops.cast(columns, "int32")
    row = ops.cumsum(ops.ones_like(columns[:, :1]), axis=0) - 1
    return ops.reshape(row * width + columns, (-1,))


def pick(matrix, columns):
    """Entry of each row at its column: (B, N), (B,) → (B,)."""
    return at_columns(matrix, columns[:, None])[:, 0]


def extreme_columns(extreme, matrix):
    """Column (B,) of each row's extreme, by `ops.argmax` or `ops.argmin`; none of a batch without rows."""
    rows, width = ops.shape(matrix)
    if not isinstance(width, int):
        # A replica may get no row of the last batch: (0, 0) becomes (0, 1), since no axis of length 0 is searched.
        matrix = ops.reshape(matrix, (rows, ops.maximum(width, 1)))
    return ops.cast(extreme(matrix, axis=1), "int32")


def farthest_of(distances, mask):
    """Column of each row's largest distance where the mask (B, N) is true, (B,)."""
    return extreme_columns(ops.argmax, ops.where(mask, distances, -LARGE))


def nearest_of(distances, mask):
    """Column of each row's smallest distance where the mask (B, N) is true, (B,)."""
    return extreme_columns(ops.argmin, ops.where(mask, distances, LARGE))


def nearest_beyond(distances, mask):
    """Function of thresholds (B,): column of each row's nearest entry strictly beyond, or, if none, of its farthest.

    Args:
        distances: (B, N).
        mask: boolean (B, N) of the entries to look at.
    """
    candidates = ops.where(mask, distances, LARGE)
    farthest = farthest_of(distances, mask)

    def find(thresholds):
        beyond = ops.where(candidates > thresholds[:, None], candidates, LARGE)
        nearest = extreme_columns(ops.argmin, beyond)
        return ops.where(pick(beyond, nearest) < LARGE, nearest, farthest)

    return find
