"""The nearest of each query, exactly and in a stated order, from a tile of scores."""

import functools

import numpy as np

TIES = ("order", "optimistic", "pessimistic")

MEMORY = (
    2**28
)  # bytes that all tiles at work take together, about; four times as much for wide galleries
FEW = 64  # a matrix product of fewer rows reads the gallery more often than it should
MOST_ROWS = 512  # more at once only leave the caches
SORTED = 45  # bytes that a score takes while it is sorted
PIECE = 2**26  # bytes of what is sorted at once, unless one row alone has more
SAMPLE = 4096  # scores of a row that its bound is guessed from, at most
NOTHING = np.uint64(2**64 - 1)


def tile_rows(columns, depth, workers=1, itemsize=4):
    """Queries in a tile, so that the tiles of all workers and what is sorted of them stay within bounds."""
    sorted_share = min(1.0, 1.3 * depth / columns + 0.01) if depth * 2 < columns else 1.0
    row = workers * columns * (itemsize + 1.5 + SORTED * sorted_share)
    rows = max(MEMORY / row, min(4 * MEMORY / row, FEW))
    return int(max(min(rows, MOST_ROWS), 1))


def nearest(tile, depth, favour=None):
    """Columns of the `depth` smallest scores of each row, nearest first, and their scores.

    Equal scores come in the order of their columns or, with `favour`, first those of the smaller value of it.

    Args:
        tile: (n, G) scores; +inf is left out of no list, but comes last.
        depth: at most G.
        favour: None, or function (rows, columns) → booleans: of equal scores, those with False come first.

    Returns:
        columns (n, depth) int64 and scores (n, depth).
    """
    n, width = tile.shape
    if depth * 2 >= width:
        columns = np.broadcast_to(np.arange(width, dtype="int64"), tile.shape)
        return _sorted(tile, columns, np.full(n, width), depth, favour)
    places, counts = _candidates(tile, depth)
    found = []
    for first, last in _pieces(counts):
        flat, places = np.split(places, [counts[first:last].sum()])
        own = counts[first:last]
        scores = tile.reshape(-1)[flat]
        flat -= np.repeat(np.arange(first, last) * width, own)  # now columns
        found.append(_sorted(scores, flat, own, depth, _from_row(favour, first)))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def _pieces(counts):
    """Runs of rows that are sorted together: all of them, but where there are too many candidates, as with ties."""
    first, total = 0, 0
    for row, count in enumerate(counts.tolist()):
        if row > first and (total + count) * SORTED > PIECE:
            yield first, row
            first, total = row, 0
        total += count
    yield first, len(counts)


def _from_row(favour, first):
    return favour and (lambda rows, columns: favour(rows + first, columns))


def _candidates(tile, depth):
    """Where all scores up to a bound are that at least `depth` scores of the row do not exceed, and how many a row."""
    n, width = tile.shape
    sample, place = tile, depth - 1
    number = min(SAMPLE, max(width // 8, 128))
    if 2 * number < width:
        sample = np.take(tile, _sample(width, number), axis=1)
        expected = depth * number / width
        # Far enough above the expected place that the bound is too low in hardly any row.
        place = min(int(expected + 3 * np.sqrt(expected) + 4), number - 1)
    bound = np.partition(sample, place, axis=1)[:, place]
    mask = tile <= bound[:, None]
    places, counts = _set_places(mask)
    short = np.flatnonzero(counts < depth)
    for row in short:
        mask[row] = tile[row] <= np.partition(tile[row], depth - 1)[depth - 1]
    return _set_places(mask) if len(short) else (places, counts)


def _set_places(mask):
    """Where a mask is set, in row-major order, and how often in each row."""
    n, width = mask.shape
    places = np.flatnonzero(mask)
    return places, np.diff(np.searchsorted(places, np.arange(n + 1) * width))


@functools.lru_cache(maxsize=8)
def _sample(width, number):
    # By chance: at equal steps, a gallery in which the classes take turns would show only some of them.
    return np.sort(np.random.default_rng(0).choice(width, number, replace=False))


def _sorted(scores, columns, counts, depth, favour):
    """The first `depth` of candidates in row-major order, `counts` a row, in order of score."""
    n = len(counts)
    most = int(counts.max())
    filled = None if (counts == most).all() else np.arange(most) < counts[:, None]
    later = None
    if favour is not None:
        rows = np.repeat(np.arange(n), counts)
        later = favour(rows, columns.reshape(-1))
    if scores.dtype == "float32":
        keys = _keys(scores.reshape(-1), columns.reshape(-1), later)
        keys = np.sort(_in_rows(keys, filled, (n, most), NOTHING), axis=1)[:, :depth]
        return (keys & np.uint64(2**31 - 1)).astype("int64"), _scores_of(keys)
    scores = _in_rows(scores.reshape(-1), filled, (n, most), np.nan)  # NaN sorts behind inf
    columns = _in_rows(columns.reshape(-1), filled, (n, most), 0)
    if later is None:
        order = np.argsort(scores, axis=1, kind="stable")[:, :depth]
    else:
        later = _in_rows(later, filled, (n, most), True)
        order = np.lexsort((later, scores), axis=1)[:, :depth]
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _in_rows(flat, filled, shape, empty):
    if filled is None:
        return flat.reshape(shape)
    matrix = np.full(shape, empty, flat.dtype)
    matrix[filled] = flat
    return matrix


def _keys(scores, columns, later):
    """One integer each that sorts by score, then `later`, then column: 32, 1 and 31 bits."""
    # Bits of a float as an unsigned integer that grows with it; adding 0 turns −0 into +0.
    bits = (scores + np.float32(0)).view("uint32")
    bits ^= _where_set(bits) | np.uint32(0x80000000)
    keys = bits.astype("uint64")
    keys <<= np.uint64(32)
    keys |= columns.view("uint64")
    if later is not None:
        keys |= later.astype("uint64") << np.uint64(31)
    return keys


def _scores_of(keys):
    bits = (keys >> np.uint64(32)).astype("uint32")
    bits ^= ~_where_set(bits) | np.uint32(0x80000000)
    return bits.view("float32")


def _where_set(bits):
    """All ones where the highest bit is set, else 0."""
    return (bits.view("int32") >> 31).view("uint32")


def first_hit(scores, relevant, ties="order"):
    """Rank (from 1) of the nearest relevant item of one query, without a sort.

    Args:
        scores: (G,).
        relevant: (G,) booleans, at least one.
        ties: see `TIES`.
    """
    best = scores[relevant].min()
    nearer = np.count_nonzero(scores < best)
    if ties == "optimistic":
        return 1 + nearer
    tied = scores == best
    if ties == "order":
        tied[np.argmax(tied & relevant) :] = False
    return 1 + nearer + np.count_nonzero(tied & ~relevant)
