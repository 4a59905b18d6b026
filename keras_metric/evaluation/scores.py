"""Tiles of numbers that rank a gallery as a distance does, fast where a matrix product gives them.

Precision: float64 where an input is float64 or the set is small, else float32. Gallery and tiles are padded to whole
blocks, so that BLAS treats every row alike: equal gallery rows get equal numbers, and ties are true ties.
"""

import numpy as np
from keras import ops

from keras_metric import distances

BLOCK = 64  # rows and columns come in multiples of it
SMALL = 2**26  # up to this many pairs, float64 costs nothing that anyone would notice
CHUNK = 2**21  # pairs at a time for distances that are no matrix product


def scorer(queries, gallery, distance):
    """Something with `tile(rows, out)`, `columns`, `dtype` and `parallel`.

    Args:
        queries: (Q, D), checked.
        gallery: (G, D), checked; may be `queries` itself.
        distance: a `Distance`.
    """
    wide = queries.dtype == "float64" or gallery.dtype == "float64"
    dtype = np.dtype("float64" if wide or len(queries) * len(gallery) <= SMALL else "float32")
    factors = _factors(queries, gallery, distance, dtype)
    if factors is not None:
        return ProductScores(*factors, rows=len(gallery))
    return DistanceScores(queries.astype(dtype), gallery.astype(dtype), distance)


class ProductScores:
    """Scores that are a matrix product: sign · left (Q, E) · rightᵀ (E, G padded)."""

    parallel = True

    def __init__(self, left, right, sign, rows):
        self.left, self.right, self.sign, self.rows = left, right, sign, rows
        self.columns = len(right)
        self.dtype = left.dtype

    def tile(self, rows, out):
        """Scores of the queries `rows` into `out` (n, columns), n ≥ the number of rows; the padding is +inf."""
        some = np.zeros((len(out), self.left.shape[1]), self.dtype)
        some[: len(rows)] = self.sign * self.left[rows]
        np.matmul(some, self.right.T, out=out)
        out[:, self.rows :] = np.inf


class DistanceScores:
    """Scores by any `Distance`, a chunk of the gallery at a time."""

    parallel = False

    def __init__(self, queries, gallery, distance):
        self.queries, self.distance, self.rows = queries, distance, len(gallery)
        self.columns = _padded(len(gallery))
        self.dtype = queries.dtype
        self.gallery = np.concatenate(
            [gallery, np.repeat(gallery[:1], self.columns - self.rows, 0)]
        )

    def tile(self, rows, out):
        """As in `ProductScores`."""
        some, largest = self.queries[rows], np.finfo(self.dtype).max
        step = max(CHUNK // max(len(rows), 1) // BLOCK, 1) * BLOCK
        for start in range(0, self.columns, step):
            part = ops.convert_to_numpy(
                self.distance.pairwise(some, self.gallery[start : start + step])
            )
            if np.isnan(part).any():
                raise ValueError(f"{type(self.distance).__name__} gave NaN for finite embeddings.")
            out[: len(rows), start : start + step] = np.minimum(part, largest)
        out[:, self.rows :] = np.inf


def _factors(queries, gallery, distance, dtype):
    """Left and right factor of a product that ranks as the distance does, or None."""
    kind = type(distance)
    if kind in (distances.CosineDistance, distances.AngularDistance):
        return _signed(queries, gallery, unit_rows, dtype)
    if kind is distances.InnerProductDistance:
        scale = _power_of_two(max(np.abs(queries).max(), np.abs(gallery).max()))
        return _signed(queries, gallery, lambda x: x / scale, dtype)
    if kind is distances.HammingDistance:
        return _signed(queries, gallery, _indicators, dtype)
    if kind in (distances.EuclideanDistance, distances.SquaredEuclideanDistance):
        return _euclidean(queries, gallery, dtype)
    return None


def _signed(queries, gallery, prepare, dtype):
    right = _in_blocks(gallery, prepare, dtype, _padded(len(gallery)))
    # One matrix serves both sides of a leave-one-out evaluation.
    left = right if queries is gallery else _in_blocks(queries, prepare, dtype)
    return left, right, -1


def _euclidean(queries, gallery, dtype):
    # |y|² − 2xy ranks as |x − y|² does. Moving everything by the row nearest the mean keeps the digits of data far
    # from the origin, and keeps whole numbers whole, so that their ties stay exact; so does a power of two.
    sample = gallery[:: -(-len(gallery) // 65536)].astype("float64")
    center = sample[np.argmin(((sample - sample.mean(axis=0)) ** 2).sum(axis=1))]
    largest = max(np.abs(part - center).max() for part in (queries, gallery))
    scale = _power_of_two(largest)

    def right(y):
        y = (y - center) / scale
        return np.concatenate([y, (y * y).sum(axis=1, keepdims=True)], axis=1)

    def left(x):
        return np.concatenate([-2.0 * ((x - center) / scale), np.ones((len(x), 1))], axis=1)

    return (
        _in_blocks(queries, left, dtype),
        _in_blocks(gallery, right, dtype, _padded(len(gallery))),
        1,
    )


def _in_blocks(x, prepare, dtype, length=None, step=65536):
    """`prepare` in float64, a block of rows at a time, into a matrix of `length` rows, padded with zeros."""
    first = prepare(x[:1].astype("float64"))
    out = np.zeros((length or len(x), first.shape[1]), dtype)
    for start in range(0, len(x), step):
        out[start : min(start + step, len(x))] = prepare(x[start : start + step].astype("float64"))
    return out


def unit_rows(x):
    """Rows of length 1 in the dtype of x; a zero row stays zero."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    scaled = x / np.where(largest > 0, largest, 1)
    length = np.sqrt((scaled * scaled).sum(axis=1, keepdims=True))
    return scaled / np.where(length > 0, length, 1)


def _indicators(x):
    return np.concatenate([x > 0, x < 0, x == 0], axis=1).astype("float64")


def _power_of_two(x):
    x = float(x)
    return 2.0 ** np.floor(np.log2(x)) if x > 0 else 1.0


def _padded(rows):
    return -(-rows // BLOCK) * BLOCK
