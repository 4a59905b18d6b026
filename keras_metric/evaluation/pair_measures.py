"""True distances between rows of one set, a tile at a time, fast where a matrix product gives them.

Matrices are padded to whole blocks, so that BLAS treats every row alike: equal rows get equal distances.
"""

import numpy as np
from keras import ops

from keras_metric import distances

BLOCK = 64  # rows and columns come in multiples of it
ROUNDING = 16  # rows whose distance is not more than so many roundings of a product are equal
CHUNK = 2**21  # pairs at a time for distances that are no matrix product


def measure_of(x, distance, dtype):
    """Something with `tile(start, stop)`, `bounds()`, `reorder(order)`, `symmetric` and `parallel`.

    Args:
        x: (N, D), checked.
        distance: a `Distance`.
        dtype: of the distances.
    """
    kind = type(distance)
    if kind is distances.CosineDistance:
        return Cosines(x, dtype, _from_cosine, (0.0, 2.0))
    if kind is distances.AngularDistance:
        return Cosines(x, dtype, _from_angle, (0.0, np.pi))
    if kind is distances.InnerProductDistance:
        most = float(np.square(x, dtype="float64").sum(axis=1).max())
        return Products(x, dtype, _negative, _representable((-most, most), dtype))
    if kind is distances.HammingDistance:
        signs = indicators(x)
        return Products(signs, dtype, _from_matches(x.shape[1]), (0.0, 1.0), discrete=True)
    if kind is distances.EuclideanDistance:
        return SquaredSums(x, dtype, root=True)
    if kind is distances.SquaredEuclideanDistance:
        return SquaredSums(x, dtype, root=False)
    return AnyDistance(x.astype(dtype), distance)


class Products:
    """Distances that follow from x · xᵀ by `finish`, which works in place.

    `discrete` ones have so few values that each has a bin of its own.
    """

    symmetric = parallel = True

    def __init__(self, x, dtype, finish, bounds, discrete=False):
        self.discrete = discrete
        self.rows = len(x)
        self.x = np.zeros((_padded(len(x)), x.shape[1]), dtype)
        self.x[: len(x)] = x
        self.finish, self._bounds = finish, bounds

    def reorder(self, order):
        """Puts the rows in another order."""
        self.x[: self.rows] = self.x[order]

    def bounds(self):
        """Least and largest distance possible."""
        return self._bounds

    def tile(self, start, stop):
        """Distances of the rows start…stop to the rows start…N; `start` is a multiple of BLOCK."""
        return self.finish(self._products(start, stop))

    def _products(self, start, stop):
        # A copy, since NumPy multiplies a matrix with its own transpose in another way, which rounds otherwise.
        left = self.x[start : start + _padded(stop - start)].copy()
        return np.matmul(left, self.x[start:].T)[: stop - start, : self.rows - start]


class Cosines(Products):
    """Distances that follow from x · xᵀ / (|x| |x|ᵀ): products of whole numbers stay whole, and their ties exact."""

    def __init__(self, x, dtype, finish, bounds):
        x = x.astype("float64")
        x /= _power_of_two(x, axis=1)
        super().__init__(x, dtype, finish, bounds)
        lengths = np.zeros(len(self.x))
        lengths[: self.rows] = np.sqrt((x * x).sum(axis=1))
        self.inverse = (1 / np.where(lengths > 0, lengths, np.inf)).astype(dtype)

    def reorder(self, order):
        """Puts the rows in another order."""
        super().reorder(order)
        self.inverse[: self.rows] = self.inverse[order]

    def tile(self, start, stop):
        """As in `Products`."""
        tile = self._products(start, stop)
        # Multiplied with each other first, so that the pair (x, y) rounds as (y, x) does.
        tile *= self.inverse[start:stop, None] * self.inverse[None, start : self.rows]
        tile[tile > 1 - ROUNDING * np.finfo(tile.dtype).eps] = 1
        return self.finish(tile)


class SquaredSums(Products):
    """(Squared) Euclidean distances as |x|² + |y|² − 2xy, with the data moved to its middle."""

    def __init__(self, x, dtype, root):
        # The row nearest the mean, so that whole numbers stay whole and their ties exact.
        x = x.astype("float64")
        self.scale = _power_of_two(x)  # so that no square is beyond the numbers there are
        x = x / self.scale
        x -= x[np.argmin(((x - x.mean(axis=0)) ** 2).sum(axis=1))]
        super().__init__(x, dtype, None, None)
        self.squares = (self.x * self.x).sum(axis=1)
        self.root = root
        _representable(self.bounds(), dtype)

    def reorder(self, order):
        """Puts the rows in another order."""
        super().reorder(order)
        self.squares[: self.rows] = self.squares[order]

    def bounds(self):
        """0 and the largest distance possible."""
        largest = 2.002 * float(np.sqrt(self.squares.max())) * float(self.scale)
        return 0.0, largest if self.root else largest * largest

    def tile(self, start, stop):
        """As in `Products`."""
        tile = self._products(start, stop)
        tile *= -2
        both = self.squares[start:stop, None] + self.squares[None, start : self.rows]
        tile += both
        both *= ROUNDING * np.finfo(tile.dtype).eps
        tile[tile < both] = 0
        if self.root:
            np.sqrt(tile, out=tile)
            tile *= self.scale
        else:
            tile *= self.scale**2
        return tile


class AnyDistance:
    """Distances by any `Distance`, a chunk of columns at a time."""

    symmetric = parallel = discrete = False

    def __init__(self, x, distance):
        self.x, self.distance = x, distance

    def bounds(self):
        """Of a sample, widened; what lies beyond falls into the outermost bins."""
        some = self.x[:: -(-len(self.x) // 1024)]
        sample = ops.convert_to_numpy(self.distance.pairwise(some, some))
        low, high = min(float(sample.min()), 0.0), float(sample.max())
        return low * 1.5, high * 1.5 or 1.0

    def tile(self, start, stop):
        """As in `Products`."""
        rows, columns = self.x[start:stop], self.x[start:]
        tile = np.empty((len(rows), len(columns)), self.x.dtype)
        step = max(CHUNK // len(rows), 1)
        for first in range(0, len(columns), step):
            part = self.distance.pairwise(rows, columns[first : first + step])
            tile[:, first : first + step] = ops.convert_to_numpy(part)
        if not np.isfinite(tile).all():
            raise ValueError(
                f"{type(self.distance).__name__} gave distances that are not finite for finite embeddings."
            )
        return tile


def _from_cosine(products):
    np.subtract(1, products, out=products)
    return np.clip(products, 0, 2, out=products)


def _from_angle(products):
    np.clip(products, -1, 1, out=products)
    return np.arccos(products, out=products)


def _from_matches(dimensions):
    def finish(products):
        products /= -dimensions
        products += 1
        return products

    return finish


def _negative(products):
    return np.negative(products, out=products)


def indicators(x):
    """Whether each coordinate is positive, negative, zero: equal signs make a product of 1."""
    return np.concatenate([x > 0, x < 0, x == 0], axis=1)


def _power_of_two(x, axis=None):
    """The size of the largest numbers, rounded down to a power of two, by which whole numbers stay exact."""
    largest = np.abs(x).max(axis=axis, keepdims=axis is not None)
    return np.exp2(np.floor(np.log2(np.where(largest > 0, largest, 1))))


def _representable(bounds, dtype):
    if not np.isfinite(np.asarray(bounds, dtype)).all():
        raise ValueError(
            f"The distances of embeddings as large as these go beyond {np.dtype(dtype)}: up to {bounds[1]:.3g}. "
            "Scale the embeddings down."
        )
    return bounds


def _padded(rows):
    return -(-rows // BLOCK) * BLOCK
