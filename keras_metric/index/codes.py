"""Embeddings in a quarter or a 32nd of their size, to find candidates with.

int8:    each coordinate as one of 255 steps between its smallest and largest value.
binary:  each coordinate as one bit, whether it is above its mean. A query keeps its numbers, and is compared with the
         signs of the items: that misses fewer neighbours than the Hamming distance of two signs.
"""

import numpy as np

from keras_metric.distances import CosineDistance, InnerProductDistance
from keras_metric.index import formulas

CHUNK = 1 << 14
STEPS = 127.0
LARGEST = 1e12  # so that no product of float32 overflows
CANDIDATES = {
    "int8": 4,
    "binary": 40,
}  # per neighbour wanted; see benchmarks/index.py for the recall


class Codes:
    """The codes of all items.

    Attributes:
        rows: (N, D) int8, or (N, ⌈D / 8⌉) uint8 of bits.
        scaling: (2, D) float32, the middle and the size of a step of each coordinate.
    """

    def __init__(self, kind, rows, scaling):
        self.kind, self.rows, self.scaling = kind, rows, scaling

    @classmethod
    def of(cls, vectors, kind, distance):
        """Codes of vectors (N, D), which are read in parts and may be memory-mapped."""
        parts = _Parts(vectors, distance)
        center, step = parts.limits() if kind == "int8" else parts.means()
        width = vectors.shape[1] if kind == "int8" else -(-vectors.shape[1] // 8)
        rows = np.empty((len(vectors), width), "int8" if kind == "int8" else "uint8")
        for start, part in parts:
            moved = part - center
            rows[start : start + len(part)] = (
                np.round(moved / step) if kind == "int8" else np.packbits(moved > 0, axis=1)
            )
        return cls(kind, rows, np.stack([center, step]).astype("float32"))

    def rough(self, queries, distance):
        """What ranks items nearly as the distance does; see `formulas.Rough`."""
        return CodedRough(self, queries, distance)


class _Parts:
    """Vectors part by part in float64; for cosine, of length 1."""

    def __init__(self, vectors, distance):
        self.vectors, self.unit = vectors, isinstance(distance, CosineDistance)

    def __iter__(self):
        for start in range(0, len(self.vectors), CHUNK):
            part = np.asarray(self.vectors[start : start + CHUNK], "float64")
            yield start, formulas.unit(part) if self.unit else part

    def limits(self):
        """The middle of the smallest and the largest of each coordinate, and a 127th of the way to them."""
        ends = [(part.min(axis=0), part.max(axis=0)) for _, part in self]
        low = np.min([one for one, _ in ends], axis=0)
        high = np.max([one for _, one in ends], axis=0)
        step = (high - low) / 2.0 / STEPS
        # Rows that are equal but for rounding stay equal.
        varies = step > formulas.EPSILON / STEPS * np.maximum(np.abs(low), np.abs(high))
        return (low + high) / 2.0, np.where(varies, step, 1.0)

    def means(self):
        """The mean of each coordinate, and its mean distance from that."""
        count = len(self.vectors)
        center = np.sum([part.sum(axis=0) for _, part in self], axis=0) / count
        spread = np.sum([np.abs(part - center).sum(axis=0) for _, part in self], axis=0) / count
        return center, spread


class CodedRough:
    """(Q, tile) matrices from codes that rank nearly as the distance does."""

    dtype = np.dtype("float32")

    def __init__(self, codes, queries, distance):
        center, step = codes.scaling.astype("float64")
        self.bits = codes.kind == "binary"
        self.dimensions = len(center)
        unit = float(step.max()) or 1.0
        self.step = (step / unit).astype("float32")
        queries = queries.astype("float64")
        self.product = isinstance(distance, CosineDistance | InnerProductDistance)
        if isinstance(distance, CosineDistance):
            queries = formulas.unit(queries)
        if self.bits and not isinstance(distance, InnerProductDistance):
            # Which side of the mean a query is on, and how far, tells more than its inner product.
            queries = queries - center
        elif self.product:
            queries = queries * self.step
        else:
            queries = (queries - center) / unit
        self.queries = np.clip(queries, -LARGEST, LARGEST).astype("float32")

    def __call__(self, rows, positions):
        """(Q, tile) of the codes `rows`."""
        if self.bits:
            rows = np.unpackbits(rows, axis=1, count=self.dimensions)
        rows = rows.astype("float32")
        if self.bits or self.product:
            products = self.queries @ rows.T
            return np.negative(products, out=products)
        rows *= self.step
        products = (-2.0 * self.queries) @ rows.T
        products += np.einsum("nd,nd->n", rows, rows)
        return products

    @staticmethod
    def slack(kth, queries=slice(None)):
        """Nothing: how many candidates there are decides, not how near they are."""
        return np.zeros_like(kth, dtype="float64")
