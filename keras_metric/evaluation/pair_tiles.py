"""Distances of all pairs of a set, a tile at a time: same and different pairs apart, in bounded memory."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_metric.evaluation.pair_measures import BLOCK, measure_of
from keras_metric.evaluation.processors import processors, shared_by

TILE = 2**22  # pairs in a tile
EXACT = 2**23  # up to this many pairs every distance is kept, in float64
BINS = 2**20  # of the histograms beyond
MOST_WORKERS = 8


class PairTiles:
    """All pairs i < j of the rows of a set.

    Args:
        x: (N, D), checked.
        codes: (N,) classes as whole numbers >= 0.
        distance: a `Distance`; one that is not symmetric is taken from row i to row j.
    """

    def __init__(self, x, codes, distance):
        self.rows = len(x)
        self.pairs = self.rows * (self.rows - 1) // 2
        self.exact = self.pairs <= EXACT
        self.measure = measure_of(x, distance, "float64" if self.exact else "float32")
        self.codes, self.order, self.sorted = codes, np.arange(self.rows), False
        if self.measure.symmetric:
            # In the order of their classes, the same pairs of a tile stand in a narrow band of its columns.
            self.order = np.argsort(codes, kind="stable")
            self.codes, self.sorted = codes[self.order], True
            self.measure.reorder(self.order)

    def counts(self):
        """Numbers of same and different pairs, as Python integers."""
        sizes = [int(size) for size in np.bincount(self.codes)]
        same = sum(size * (size - 1) // 2 for size in sizes)
        return same, self.pairs - same

    def split(self):
        """Distances of all same pairs and of all different pairs, two vectors."""
        parts = list(self.each(self._split_tile))
        return tuple(np.concatenate([part[side] for part in parts]) for side in (0, 1))

    def histograms(self):
        """`(edges, same, different, least)`: the largest distance of each bin, how many pairs fall into it, and a
        distance that none is below."""
        low, high = self.measure.bounds()
        scale = BINS / ((high - low) or 1.0)
        least, largest = low, high
        every, same = np.zeros(BINS, "int64"), np.zeros(BINS, "int64")
        for tile_every, tile_same, tile_least, tile_largest in self.each(
            lambda start, stop: self._count_tile(start, stop, low, scale)
        ):
            every += tile_every
            same += tile_same
            least, largest = min(least, tile_least), max(largest, tile_largest)
        # A distance at an edge belongs to the bin above it.
        edges = np.nextafter((low + np.arange(1, BINS + 1) / scale).astype("float32"), np.float32(low))  # fmt: skip
        edges[-1] = largest
        return edges, same, every - same, least

    def different_below(self, bound):
        """`(left, right)` rows of the different pairs nearer than a bound, for each tile."""
        return self.each(lambda start, stop: self._below_tile(start, stop, bound))

    def labelled_tile(self, start, stop):
        """Distances (n, m), which of them are pairs i < j, which are same, and the classes of rows and columns."""
        tile, pairs, same = self._tile(start, stop)
        wide = np.ones((2, *tile.shape), bool)
        wide[1] = False
        wide[0, :, : pairs.shape[1]] = pairs
        wide[1, :, : same.shape[1]] = same
        return tile, *wide, self.codes[start:stop], self.codes[start:]

    def each(self, work):
        """Results of `work(start, stop)` for tiles of rows, in order."""
        tiles = list(self._ranges())
        if not self.measure.parallel:
            return (work(*tile) for tile in tiles)
        return _in_threads(work, tiles)

    def _ranges(self):
        start = 0
        while start < self.rows - 1:
            height = max(TILE // (self.rows - start) // BLOCK * BLOCK, BLOCK)
            yield start, min(start + height, self.rows)
            start += height

    def _tile(self, start, stop):
        """Distances (n, m) of the rows start…stop to the rows start…N, which of the first columns are pairs i < j,
        and which of these are same. Later columns hold different pairs only."""
        tile = self.measure.tile(start, stop)
        last = self.rows
        if self.sorted:
            last = int(np.searchsorted(self.codes, self.codes[stop - 1], side="right"))
        same = self.codes[start:stop, None] == self.codes[None, start:last]
        pairs = np.ones_like(same)
        height = stop - start
        pairs[:, :height] = np.arange(height)[:, None] < np.arange(height)[None, :]
        return tile, pairs, same

    def _split_tile(self, start, stop):
        tile, pairs, same = self._tile(start, stop)
        band, rest = tile[:, : same.shape[1]], tile[:, same.shape[1] :]
        return band[pairs & same], np.concatenate([band[pairs & ~same], rest.ravel()])

    def _count_tile(self, start, stop, low, scale):
        tile, pairs, same = self._tile(start, stop)
        least, largest = float(tile.min()), float(tile.max())
        tile -= np.float32(low)
        tile *= np.float32(scale)
        np.clip(tile, 0, BINS - 1, out=tile)
        bins = tile.astype("int32")
        band, rest = bins[:, : same.shape[1]], bins[:, same.shape[1] :]
        every = np.bincount(band[pairs], minlength=BINS)
        every += np.bincount(rest.ravel(), minlength=BINS)
        return every, np.bincount(band[pairs & same], minlength=BINS), least, largest

    def _below_tile(self, start, stop, bound):
        tile, pairs, same = self._tile(start, stop)
        near = tile < bound
        near[:, : same.shape[1]] &= pairs & ~same
        left, right = np.nonzero(near)
        return self.order[left + start], self.order[right + start]


def _in_threads(work, tiles):
    workers = min(processors(), MOST_WORKERS)
    with shared_by(workers), ThreadPoolExecutor(workers) as pool:
        waiting = []
        for tile in tiles:  # few results at a time stand in memory
            waiting.append(pool.submit(work, *tile))
            if len(waiting) > workers:
                yield waiting.pop(0).result()
        for one in waiting:
            yield one.result()
