"""The distances in NumPy: roughly as one product, and exactly between given pairs of rows."""

import numpy as np
from keras import ops

from keras_metric.distances import (
    AngularDistance,
    CosineDistance,
    EuclideanDistance,
    InnerProductDistance,
    PoincareDistance,
    SquaredEuclideanDistance,
)
from keras_metric.distances.poincare import INSIDE

AS_PRODUCT = (CosineDistance, InnerProductDistance, EuclideanDistance, SquaredEuclideanDistance)
EPSILON = float(np.finfo("float32").eps)
GRID = 2.0**48
SQUARES = (EuclideanDistance, SquaredEuclideanDistance)
BY_COSINE = (CosineDistance, AngularDistance)  # which rank alike
RANKED_AS_PRODUCT = (*AS_PRODUCT, AngularDistance)


def lengths(x):
    """|x| of each row, float64, without a float64 copy of all rows."""
    out = np.empty(len(x))
    for start in range(0, len(x), 1 << 14):
        part = np.asarray(x[start : start + (1 << 14)], "float64")
        out[start : start + (1 << 14)] = np.sqrt(np.einsum("nd,nd->n", part, part))
    return out


class About:
    """What a search needs to know of all vectors, computed once: lengths, and the point to measure from."""

    def __init__(self, vectors, distance):
        self.lengths = self.center = self.squares = None
        if not isinstance(distance, RANKED_AS_PRODUCT):
            return
        self.lengths = lengths(vectors)
        self.longest = float(self.lengths.max(initial=0.0))
        if isinstance(distance, BY_COSINE):
            nonzero = self.lengths > 0
            inverse = np.divide(1.0, self.lengths, out=np.zeros(len(vectors)), where=nonzero)
            self.inverse = inverse
        if isinstance(distance, SQUARES):
            # Measured from the mean, products of rows far from the origin lose fewer digits.
            self.center = np.mean(vectors, axis=0, dtype="float64")
            self.squares = np.empty(len(vectors))
            for start in range(0, len(vectors), 1 << 14):
                part = vectors[start : start + (1 << 14)] - self.center
                self.squares[start : start + (1 << 14)] = np.einsum("nd,nd->n", part, part)


def rough(queries, distance, about):
    """What gives (Q, tile) matrices that rank nearly as the distance does."""
    if isinstance(distance, PoincareDistance):
        return RoughInBall(queries, distance)
    return Rough(queries, distance, about)


class Rough:
    """(Q, tile) matrices that rank nearly as the distance does, and how far they may be off.

    Args:
        queries: (Q, D) float32.
        distance: `Distance`.
        about: `About` all vectors.
    """

    def __init__(self, queries, distance, about):
        self.distance, self.about = distance, about
        self.dtype = np.dtype("float32")
        self.queries = queries
        if isinstance(distance, RANKED_AS_PRODUCT):
            self._prepare(queries.astype("float64"))

    def _prepare(self, queries):
        about = self.about
        longest = about.longest
        if isinstance(self.distance, BY_COSINE):
            norms = lengths(queries)[:, None]
            queries = np.divide(queries, norms, out=np.zeros_like(queries), where=norms > 0)
            self.unit = bool(np.all(np.abs(about.lengths - 1.0) < EPSILON))
        elif isinstance(self.distance, SQUARES):
            queries = queries - about.center
            self.shift = 2.0 * (queries @ about.center)[:, None]
            queries = -2.0 * queries
        else:
            queries = -queries
        self.sizes = lengths(queries)
        if isinstance(self.distance, BY_COSINE):
            # With inverse lengths multiplied in, errors are those of unit rows.
            self.error = np.full(len(queries), 1.0)
        else:
            self.error = self.sizes * longest
        if longest > 1e15 or self.sizes.max(initial=0.0) > 1e15 or 0 < longest < 1e-15:
            self.dtype = np.dtype("float64")  # float32 would overflow, or lose everything
        self.queries = queries.astype(self.dtype)
        self.error *= product_error(queries.shape[1])

    def __call__(self, rows, positions):
        """(Q, tile) of the rows at these positions."""
        if not isinstance(self.distance, RANKED_AS_PRODUCT):
            pairwise = self.distance.pairwise(self.queries, rows)
            return np.asarray(ops.convert_to_numpy(pairwise), "float32")
        products = self.queries @ rows.astype(self.dtype, copy=False).T
        if isinstance(self.distance, BY_COSINE):
            scale = -self.about.inverse[positions].astype(self.dtype)
            return np.negative(products, out=products) if self.unit else products * scale
        if isinstance(self.distance, SQUARES):
            products += self.shift.astype(self.dtype)
            products += self.about.squares[positions].astype(self.dtype)
        return products

    def slack(self, kth, queries=slice(None)):
        """How far beyond the k-th best rough value a better item may be found."""
        kth = np.asarray(kth, "float64")
        if not isinstance(self.distance, RANKED_AS_PRODUCT):
            return 1e-4 * (1.0 + np.abs(kth))
        slack = 2.0 * self.error[queries] + 8.0 * EPSILON * np.abs(kth)
        if isinstance(self.distance, SQUARES):
            # Left out of the ranking, |q|² and what cancels in the sum bring errors of their own.
            slack = slack + 8.0 * EPSILON * (
                np.abs(self.shift[queries, 0]) + self.sizes[queries] ** 2
            )
        return slack


class RoughInBall:
    """As `Rough`, of what the Poincaré distance from a query grows with: |x − y|² / (1 − c|y|²).

    In float64: at the edge of the ball, float32 is too coarse to tell even neighbours apart.
    """

    dtype = np.dtype("float64")

    def __init__(self, queries, distance):
        self.distance = distance
        self.queries = in_ball(queries, distance)
        self.squares = np.einsum("nd,nd->n", self.queries, self.queries)[:, None]

    def __call__(self, rows, positions):
        """(Q, tile) of the rows."""
        rows = in_ball(rows, self.distance)
        squares = np.einsum("nd,nd->n", rows, rows)
        squared = self.squares - 2.0 * (self.queries @ rows.T) + squares
        return np.maximum(squared, 0.0) / (1.0 - self.distance.curvature * squares)

    def slack(self, kth, queries=slice(None)):
        """How far beyond the k-th best rough value a better item, or one that ties in float32, may be found."""
        return 1e-5 * np.abs(kth) + 1e-9 / self.distance.curvature


def in_ball(x, distance):
    """Rows in float64, those outside of the ball of a Poincaré distance moved into it."""
    x = x.astype("float64")
    norms = np.sqrt(np.einsum("nd,nd->n", x, x))
    radius = INSIDE / distance.curvature**0.5
    return x * np.divide(radius, norms, out=np.ones_like(norms), where=norms > radius)[:, None]


def product_error(width):
    """Bound of the rounding error of a float32 product of unit vectors, summed in eight or more partial sums."""
    return (width / 8 + 8) * EPSILON


def between(x, y, distance):
    """Distances (M,) of aligned rows: in float64 where float32 loses digits, else as the distance does it."""
    if isinstance(distance, CosineDistance):
        x, y = unit(x), unit(y)
        # Parallel rows of different lengths differ in the last bits, and would not tie.
        return np.round(np.maximum(1.0 - np.einsum("nd,nd->n", x, y), 0.0) * GRID) / GRID
    if isinstance(distance, AngularDistance):
        x, y = unit(x), unit(y)
        # By half the angle: an arc cosine cannot tell small angles apart.
        angles = 2.0 * np.arctan2(lengths(x - y), lengths(x + y))
        return np.round(angles * GRID) / GRID
    if isinstance(distance, InnerProductDistance):
        return -np.einsum("nd,nd->n", x.astype("float64"), y.astype("float64"))
    if isinstance(distance, SQUARES):
        gap = x.astype("float64") - y
        squared = np.einsum("nd,nd->n", gap, gap)
        return np.sqrt(squared) if isinstance(distance, EuclideanDistance) else squared
    if isinstance(distance, PoincareDistance):
        return _in_ball_between(in_ball(x, distance), in_ball(y, distance), distance.curvature)
    return np.asarray(ops.convert_to_numpy(distance.between(x, y)))


def _in_ball_between(x, y, curvature):
    squared, x, y = (np.einsum("nd,nd->n", one, one) for one in (x - y, x, y))
    excess = 2.0 * curvature * squared / ((1.0 - curvature * x) * (1.0 - curvature * y))
    # arcosh(1 + e), accurate for small e.
    return np.log1p(excess + np.sqrt(excess * (excess + 2.0))) / curvature**0.5


def unit(x):
    """Rows of length 1 in float64; zero rows stay zero."""
    x = x.astype("float64")
    norms = np.sqrt(np.einsum("nd,nd->n", x, x))[:, None]
    return np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)
