"""Exact search: tiles of one matrix product, then the few that can matter again in float64.

A float32 product ranks nearly right and fast. Whatever is within its rounding error of the k-th best is kept, and the
distances of those are computed row by row in float64, rounded to float32 and sorted, ties by position. So the result
does not depend on how a library splits a product, near duplicates come in the right order, and equal rows in that of
adding.
"""

import numpy as np

from keras_metric.index import formulas

BUFFER = 1 << 20  # entries of the (queries, tile) matrix, 4 MB
QUERIES = 256
MANY = 1 << 21  # candidates kept at a time before their distances are computed
ROWS_AT_ONCE = 1 << 14  # pairs compared in float64 at a time


def search(queries, vectors, distance, k, allowed=None, about=None, codes=None, candidates=0):
    """The k nearest of `vectors` to each query.

    Args:
        queries: (Q, D) float32.
        vectors: (N, D) float32; may be memory-mapped.
        distance: `Distance`.
        k: neighbours wanted, at most the number of rows that may be found.
        allowed: ascending positions of the rows that may be found, or None for all.
        about: `formulas.About` of the vectors, so that it need not be computed for each search.
        codes: `codes.Codes` to look through instead of the vectors, which are then read for the candidates only.
        candidates: with codes, how many of the nearest by code are compared by their vectors; at least k.

    Returns:
        Distances (Q, k) float32 and positions (Q, k) int64.
    """
    if codes is None:
        about = about or formulas.About(vectors, distance)
    parts = []
    for start in range(0, len(queries), QUERIES):
        some = queries[start : start + QUERIES]
        if codes is None:
            rough, scanned, wanted = formulas.rough(some, distance, about), vectors, k
        else:
            rough, scanned, wanted = codes.rough(some, distance), codes.rows, max(k, candidates)
        parts.append(_Block(some, vectors, distance, k, allowed, rough, scanned, wanted).run())
    if not parts:
        return np.empty((0, k), "float32"), np.empty((0, k), "int64")
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def sorted_candidates(queries, vectors, distance, owners, positions):
    """Exact distances of pairs, sorted by query, distance rounded to float32, and position.

    Args:
        owners: (M,) row of the query of each pair.
        positions: (M,) row of the vector of each pair.

    Returns:
        owners, positions and float32 distances, each (M,), sorted, and the order that sorts the arguments.
    """
    distances = np.empty(len(owners), "float32")
    for start in range(0, len(owners), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        distances[part] = formulas.between(
            queries[owners[part]], np.asarray(vectors[positions[part]]), distance
        )
    order = np.lexsort((positions, distances, owners))
    return owners[order], positions[order], distances[order], order


class _Block:
    """The search of up to 256 queries.

    Candidates are kept as three flat arrays: their query, position, and rough distance. The best `wanted` of them by
    rough distances of the rows of `scanned`, and those that tie with them but for rounding, are compared exactly.
    """

    def __init__(self, queries, vectors, distance, k, allowed, rough, scanned, wanted):
        self.queries, self.vectors, self.distance = queries, vectors, distance
        self.k, self.allowed = k, allowed
        self.rough, self.scanned, self.wanted = rough, scanned, wanted
        self.owners = np.empty(0, "int64")
        self.positions = np.empty(0, "int64")
        self.values = np.empty(0, self.rough.dtype)
        self.limits = np.full(len(queries), np.inf)

    def run(self):
        """Distances and positions, (Q, k)."""
        count = len(self.scanned) if self.allowed is None else len(self.allowed)
        tile = max(BUFFER // len(self.queries), self.wanted, 1)
        for start in range(0, count, tile):
            self._look_at(start, min(start + tile, count))
            if len(self.owners) > MANY:
                self._settle()
        owners, positions, distances, _ = self._sorted()
        first = np.searchsorted(owners, np.arange(len(self.queries)))
        keep = first[:, None] + np.arange(self.k)
        return distances[keep], positions[keep]

    def _look_at(self, start, stop):
        if self.allowed is None:
            rows = self.scanned[start:stop]
            positions = np.arange(start, stop)
        else:
            positions = self.allowed[start:stop]
            rows = self.scanned[positions]
        rough = self.rough(np.asarray(rows), positions)  # (Q, tile)
        if not len(self.owners) and rough.shape[1] >= self.wanted:
            kth = np.partition(rough, self.wanted - 1, axis=1)[:, self.wanted - 1]
            self.limits = kth + self.rough.slack(kth)
        found = np.flatnonzero((rough <= self.limits[:, None].astype(rough.dtype)).ravel())
        owners, columns = np.divmod(found, rough.shape[1])
        if len(found):
            self.owners = np.concatenate([self.owners, owners])
            self.positions = np.concatenate([self.positions, positions[columns]])
            self.values = np.concatenate([self.values, rough.ravel()[found]])
            self._tighten()

    def _tighten(self):
        """Drops what is beyond the k-th best by more than rounding can explain."""
        order = np.lexsort((self.values, self.owners))
        owners, values = self.owners[order], self.values[order]
        first = np.searchsorted(owners, np.arange(len(self.queries)))
        kth = first + self.wanted - 1
        has = np.append(first[1:], len(owners)) > kth
        best = values[kth[has]]
        self.limits[has] = np.minimum(
            self.limits[has], best + self.rough.slack(best, np.flatnonzero(has))
        )
        keep = order[values <= self.limits[owners].astype(values.dtype)]
        self._keep(keep)

    def _settle(self):
        """Keeps the best of each query by their exact distances: many were too close to call."""
        owners, _, _, order = self._sorted()
        rank = np.arange(len(owners)) - np.searchsorted(owners, owners)
        self._keep(order[rank < self.wanted])

    def _keep(self, chosen):
        self.owners = self.owners[chosen]
        self.positions = self.positions[chosen]
        self.values = self.values[chosen]

    def _sorted(self):
        return sorted_candidates(
            self.queries, self.vectors, self.distance, self.owners, self.positions
        )
