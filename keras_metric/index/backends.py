"""Engines that propose neighbours: built in, faiss, usearch."""

import numpy as np

from keras_metric import extras
from keras_metric.distances import (
    DISTANCES,
    CosineDistance,
    EuclideanDistance,
    InnerProductDistance,
)
from keras_metric.index import codes, exact, formulas, rows

SPARE = 16  # candidates beyond k, so that an order that is wrong by rounding can be put right
SMALL = 20_000  # up to here usearch looks through everything


class Exact:
    """The built-in search through everything, for every distance."""

    everywhere = True

    def __init__(self, distance):
        self.distance = distance
        self._about = None

    def forget(self):
        """Is told that the items changed."""
        self._about = None

    def search(self, queries, vectors, k, allowed):
        """Distances (Q, k) float32 and rows (Q, k), nearest first."""
        if self._about is None:
            self._about = formulas.About(vectors, self.distance)
        return exact.search(queries, vectors, self.distance, k, allowed, self._about)


class Coded:
    """Looks through codes of the embeddings, and compares the best of those by the embeddings themselves."""

    def __init__(self, distance, kind, rescore):
        _check_product(distance, f"storage={kind!r}", "Use storage='float32'.")
        self.distance, self.kind = distance, kind
        self.rescore = codes.CANDIDATES[kind] if rescore is None else rescore
        self._codes = None

    def forget(self):
        """Is told that the items changed."""
        self._codes = None

    def codes_of(self, vectors):
        """The codes; made at first use after a change."""
        if self._codes is None:
            self._codes = codes.Codes.of(vectors, self.kind, self.distance)
        return self._codes

    def take(self, rows_, scaling):
        """Is given the codes of a saved index."""
        self._codes = codes.Codes(self.kind, rows_, scaling)

    def search(self, queries, vectors, k, allowed):
        """Distances (Q, k) float32 and rows (Q, k), nearest first."""
        count = len(vectors) if allowed is None else len(allowed)
        return exact.search(
            queries,
            vectors,
            self.distance,
            k,
            allowed,
            codes=self.codes_of(vectors),
            candidates=min(k * self.rescore + SPARE, count),
        )


class Proposed:
    """A library proposes; distances and order come from the embeddings, as in `Exact`."""

    def __init__(self, distance, name):
        _check_product(distance, f"backend={name!r}", "Use backend='exact'.")
        self.distance = distance
        self.exact = Exact(distance)
        self._library = None

    def forget(self):
        """Is told that the items changed."""
        self.exact.forget()
        self._library = None

    def search(self, queries, vectors, k, allowed):
        """Distances (Q, k) float32 and rows (Q, k), nearest first."""
        if allowed is not None or not len(queries):
            return self.exact.search(queries, vectors, k, allowed)
        if self._library is None:
            self._library = self.build(self._directions(vectors))
            self._longest = float(formulas.lengths(vectors).max())
        wanted = min(k + SPARE, len(vectors))
        found = self.propose(self._directions(queries), wanted)  # (Q, wanted) rows
        distances, places, last = _ranked(queries, vectors, self.distance, found, k)
        unsure = self._within_rounding(queries, distances[:, -1], last)
        if self.everywhere and wanted < len(vectors) and unsure.any():
            # Rows that were not proposed may be as near as the k-th: only Exact knows which come first.
            again = self.exact.search(queries[unsure], vectors, k, None)
            distances[unsure], places[unsure] = again
        return distances, places

    def _directions(self, x):
        """What the library compares by inner product or squared distance."""
        if not isinstance(self.distance, CosineDistance):
            return np.ascontiguousarray(x, "float32")
        lengths = formulas.lengths(x)[:, None]
        return np.divide(x, lengths, out=np.zeros_like(x), where=lengths > 0, casting="same_kind")

    def _within_rounding(self, queries, kth, last):
        """Whether the library's float32 cannot tell the k-th distance from the last one proposed."""
        error = formulas.product_error(queries.shape[1])
        if isinstance(self.distance, CosineDistance):
            return last - kth <= error
        sizes = formulas.lengths(queries) + self._longest
        if isinstance(self.distance, EuclideanDistance):
            kth, last = kth.astype("float64") ** 2, last.astype("float64") ** 2
        return last - kth <= error * sizes**2

    @property
    def by_product(self):
        """Whether the library is to look for the largest inner product."""
        return isinstance(self.distance, CosineDistance | InnerProductDistance)


class Faiss(Proposed):
    """Flat faiss indexes, which look through everything."""

    everywhere = True

    def __init__(self, distance):
        super().__init__(distance, "faiss")
        self.faiss = extras.require("faiss", extra="index")

    def build(self, vectors):
        """The library's index of the vectors."""
        kind = self.faiss.IndexFlatIP if self.by_product else self.faiss.IndexFlatL2
        library = kind(vectors.shape[1])
        library.add(vectors)
        return library

    def propose(self, queries, count):
        """Rows (Q, count)."""
        return self._library.search(queries, count)[1].astype("int64")


class Usearch(Proposed):
    """A graph of neighbours (HNSW); small ones are looked through."""

    everywhere = False

    def __init__(self, distance):
        super().__init__(distance, "usearch")
        self.usearch = extras.require("usearch.index", extra="index")

    def build(self, vectors):
        """The library's index of the vectors."""
        library = self.usearch.Index(
            ndim=vectors.shape[1], metric="ip" if self.by_product else "l2sq", dtype="f32"
        )
        library.add(np.arange(len(vectors)), vectors)
        self._size = len(vectors)
        return library

    def propose(self, queries, count):
        """Rows (Q, count)."""
        found = self._library.search(queries, count, exact=self._size <= SMALL)
        keys = np.asarray(found.keys).astype("int64").reshape(len(queries), -1)
        counts = np.atleast_1d(getattr(found, "counts", np.array([keys.shape[1]])))
        keys[np.arange(keys.shape[1]) >= counts[:, None]] = -1
        return keys


def _ranked(queries, vectors, distance, found, k):
    """The k best of the proposed rows, and the distance (Q,) of the worst one proposed."""
    owners = np.repeat(np.arange(len(found)), found.shape[1])
    positions = found.ravel()
    real = positions >= 0
    owners, positions, distances, _ = exact.sorted_candidates(
        queries, vectors, distance, owners[real], positions[real]
    )
    first = np.searchsorted(owners, np.arange(len(found)))
    counts = np.diff(np.append(first, len(owners)))
    if counts.min() < k:  # a graph found fewer than are there
        distances, positions = exact.search(queries, vectors, distance, k)
        return distances, positions, np.full(len(queries), np.inf)
    keep = first[:, None] + np.arange(k)
    return distances[keep], positions[keep], distances[first + counts - 1]


def _check_product(distance, setting, way_out):
    """Refuses distances that cannot be had from a product."""
    if not isinstance(distance, formulas.AS_PRODUCT):
        there = sorted(n for n, cls in DISTANCES.items() if issubclass(cls, formulas.AS_PRODUCT))
        rows.fail(
            "distance", f"be one of {there} with {setting}",
            f"{DISTANCES.name_of(distance) or distance!r}", way_out,
        )  # fmt: skip


ENGINES = {"exact": Exact, "faiss": Faiss, "usearch": Usearch}
STORAGES = ("float32", *codes.CANDIDATES)


def get(name, distance, storage="float32", rescore=None):
    """The engine of a back end and a storage."""
    if name not in ENGINES:
        rows.fail("backend", f"be one of {list(ENGINES)}", f"backend={name!r}")
    if storage not in STORAGES:
        rows.fail("storage", f"be one of {list(STORAGES)}", f"storage={storage!r}")
    if rescore is not None:
        rows.whole(rescore, "rescore")
    if storage == "float32":
        return ENGINES[name](distance)
    if name != "exact":
        rows.fail("backend", f"be 'exact' with storage={storage!r}", f"backend={name!r}")
    return Coded(distance, storage, rescore)
