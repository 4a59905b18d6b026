"""The index."""

import numpy as np

from keras_metric import distances
from keras_metric.index import backends, files, matching, rows
from keras_metric.index.items import Items
from keras_metric.index.results import SearchResult


class Index:
    """Embeddings to search in, with an id each and, if wanted, a label and a payload.

        index = Index(distance="cosine")
        index.add(embeddings, ids=file_names, labels=classes)
        found = index.search(queries, k=5)
        index.save("gallery")

    All back ends give the same distances in the same units: the back end proposes candidates, and their distances
    are computed from the embeddings. Neighbours are sorted by distance in float32; ties stand in the order of adding.
    `"exact"` and `"faiss"` look through everything; `"usearch"` walks a graph (HNSW) where there are more than
    20,000 items and may then miss neighbours. A search among some of the items is always exact.

    With `storage="int8"` or `"binary"` a search looks through codes of 8 bits or 1 bit for each number, and reads the
    embeddings only of the candidates that it finds there. Distances stay exact, but a neighbour may be missed: see
    `recall`. In memory the codes come on top of the embeddings; `save` and `load(path, mmap=True)` leave the
    embeddings in the file, so that a quarter, or a 32nd, of their size is held (`nbytes`).

    Args:
        distance: name or `Distance`. faiss, usearch, int8 and binary have cosine, euclidean, squared_euclidean and
            inner_product.
        backend: "exact", "faiss" or "usearch"; the last two are extras.
        storage: "float32", "int8" or "binary"; the last two with backend="exact".
        rescore: candidates compared exactly, for each neighbour wanted, with int8 (default 4) or binary (default 40).

    Raises:
        ValueError: for an unknown name, or a distance that the back end or the storage lacks.
        ImportError: if the back end's package is not installed.
    """

    def __init__(
        self,
        distance: str | distances.Distance = "cosine",
        backend="exact",
        storage="float32",
        rescore=None,
    ):
        self.distance = distances.get(distance)
        self.backend = backend
        self.storage = storage
        self.rescore = rescore
        self._engine = backends.get(backend, self.distance, storage, rescore)
        self._items = Items()

    def __len__(self):
        return self._items.count

    def __repr__(self):
        name = distances.DISTANCES.name_of(self.distance) or self.distance
        storage = "" if self.storage == "float32" else f", storage={self.storage!r}"
        return (
            f"Index(distance={name!r}, backend={self.backend!r}{storage}): {len(self)} items of "
            f"{self._items.width or 0} dimensions"
        )

    @property
    def vectors(self):
        """Embeddings (N, D) float32 in the order of adding; not to be written to."""
        return _read_only(self._items.vectors)

    @property
    def ids(self):
        """Ids (N,), int64 or str, in the order of adding."""
        return _read_only(self._items.ids)

    @property
    def labels(self):
        """Labels (N,), int64 or str, or None."""
        return None if self._items.labels is None else _read_only(self._items.labels)

    @property
    def payload(self):
        """List of N things, or None."""
        return None if self._items.payload is None else list(self._items.payload)

    @property
    def nbytes(self):
        """Bytes in memory of embeddings and their codes; embeddings that stay in a file do not count."""
        vectors = self._items.vectors
        held = 0 if isinstance(vectors, np.memmap) else vectors.nbytes
        if self.storage == "float32" or not len(self):
            return held
        codes = self._engine.codes_of(vectors)
        return held + codes.rows.nbytes + codes.scaling.nbytes

    def add(self, embeddings, ids=None, labels=None, payload=None):
        """Adds rows; all of them, or none if anything is wrong.

        Args:
            embeddings: (N, D) numbers, finite in float32.
            ids: (N,) whole numbers or texts, all different and new; None continues from the highest, or 0.
            labels: (N,) whole numbers or texts; for all rows of the index or for none.
            payload: N things that JSON can hold; for all rows of the index or for none.

        Returns:
            The ids (N,).

        Raises:
            ValueError: for NaN, another width, duplicate ids, ids or labels of another kind than those there.
        """
        vectors, ids, labels, payload = self._checked(embeddings, ids, labels, payload)
        known = [value for value in ids.tolist() if value in self._items.place]
        if known:
            rows.fail("ids", "be new", f"in the index already: {known[:5]}", "See `upsert`.")
        if len(ids):
            self._items.append(vectors, ids, labels, payload)
            self._engine.forget()
        return ids

    def upsert(self, embeddings, ids, labels=None, payload=None):
        """Replaces the rows whose ids are there, in their place, and adds the others.

        Args and Raises: as `add`, but ids may be there.
        """
        vectors, ids, labels, payload = self._checked(embeddings, ids, labels, payload)
        there = np.array([value in self._items.place for value in ids.tolist()], bool)
        places = np.array([self._items.place[value] for value in ids[there].tolist()], "int64")

        def some(mask):
            chosen = np.flatnonzero(mask)
            return (
                vectors[chosen],
                None if labels is None else labels[chosen],
                None if payload is None else [payload[row] for row in chosen],
            )

        if there.any():
            self._items.replace(places, *some(there))
        if not there.all():
            new, new_labels, new_payload = some(~there)
            self._items.append(new, ids[~there], new_labels, new_payload)
        self._engine.forget()

    def remove(self, ids):
        """Removes the rows of these ids; all of them, or none if one is unknown.

        Raises:
            ValueError: for unknown or duplicate ids.
        """
        ids = rows.ids(ids)
        unknown = [value for value in ids.tolist() if value not in self._items.place]
        if unknown:
            rows.fail("ids", "be in the index", f"unknown: {unknown[:5]}")
        if not len(ids):
            return
        mask = np.ones(len(self), bool)
        mask[[self._items.place[value] for value in ids.tolist()]] = False
        self._items.keep(mask)
        self._engine.forget()

    def search(self, queries, k=10, labels=None, mask=None):
        """The k nearest items of each query.

        Args:
            queries: (Q, D) numbers.
            k: neighbours wanted; where there are fewer, all there are.
            labels: only items with this label, or one of these.
            mask: (N,) bool, in the order of adding: only items where it is true.

        Returns:
            `SearchResult`.

        Raises:
            ValueError: if the index is empty, or a filter leaves nothing; for NaN and another width.
        """
        k = rows.whole(k, "k")
        distances_, places = self._nearest(queries, k, labels, mask)
        items = self._items
        return SearchResult(
            distances_,
            items.ids[places],
            None if items.labels is None else items.labels[places],
            None
            if items.payload is None
            else [[items.payload[place] for place in row] for row in places.tolist()],
        )

    def recall(self, queries, k=10):
        """The share of the true k nearest items that `search` finds, 1.0 for one that looks through everything.

        An item as near as the true k-th counts as found. The whole index is searched exactly for it.

        Args:
            queries: (Q, D) numbers, Q >= 1; such as the index will be asked.
            k: neighbours.
        """
        found, _ = self._nearest(queries, rows.whole(k, "k"), None, None)
        if not len(found):
            rows.fail("queries", "have one or more rows", "none")
        exact = backends.get("exact", self.distance)
        queries = rows.vectors(queries, "queries", self._items.width)
        right, _ = exact.search(queries, self._items.vectors, found.shape[1], None)
        return float(np.mean(found <= right[:, -1:]))

    def match(self, queries, threshold, by="nearest", k=10, labels=None, mask=None):
        """Who each query is; nobody, if nothing is within the threshold.

        Args:
            queries: (Q, D) numbers.
            threshold: largest distance that matches, for example that of `evaluation.verification`.
            by: "nearest" decides by the nearest item; "vote" by the label that most of the k nearest items within
                the threshold have, and of labels with as many, the one whose nearest item is nearest.
            k: items that vote.
            labels, mask: as in `search`.

        Returns:
            `MatchResult`; by vote, ids and distances are those of the nearest item of the winning label.

        Raises:
            ValueError: as `search`; for a threshold that is no finite number; for a vote without labels.
        """
        matching.check(threshold, by, self._items.labels)
        k = rows.whole(k, "k") if by == "vote" else 1
        distances_, places = self._nearest(queries, k, labels, mask)
        return matching.match(distances_, places, self._items, float(threshold), by)

    def save(self, path):
        """Writes the index into a folder, as arrays and JSON.

        A folder that holds an index gets the new one; until the very last moment, in which one file changes
        places, it holds the old one. Items of `payload` must be such as JSON can hold.

        Raises:
            FileExistsError: if something else is there; nothing is written then.
            TypeError: if the payload does not fit into JSON.
        """
        codes = None
        if self.storage != "float32" and len(self):
            codes = self._engine.codes_of(self._items.vectors)
        settings = {"backend": self.backend, "storage": self.storage, "rescore": self.rescore}
        files.save(path, self._items, self.distance, settings, codes)

    @classmethod
    def load(cls, path, mmap=False, backend=None, storage=None):
        """Reads what `save` wrote.

        Args:
            path: the folder.
            mmap: whether the embeddings stay in the file and are read as they are needed. Their check sum is not
                looked at then, only their size.
            backend: another back end than the saved one.
            storage: another storage than the saved one.

        Raises:
            FileNotFoundError: if there is no index.
            ValueError: if a file is missing, truncated or changed.
        """
        items, distance, saved, codes = files.load(path, mmap)
        storage = storage or saved["storage"]
        same = storage == saved["storage"]
        index = cls(
            distance, backend or saved["backend"], storage, saved["rescore"] if same else None
        )
        index._items = items
        if same and codes is not None:
            index._engine.take(*codes)
        return index

    def _checked(self, embeddings, ids, labels, payload):
        items = self._items
        vectors = rows.vectors(embeddings, "embeddings", items.width)
        count = len(vectors)
        ids = items.next_ids(count) if ids is None else rows.ids(ids, count)
        if len(self) and count and ids.dtype.kind != items.ids.dtype.kind:
            kinds = [
                "texts" if one.dtype.kind == "U" else "whole numbers" for one in (items.ids, ids)
            ]
            rows.fail("ids", f"be {kinds[0]}, as those of the index", kinds[1])
        labels = None if labels is None else rows.labels(labels, count)
        payload = None if payload is None else rows.payload(payload, count)
        if len(self) and count:
            self._check_all_or_none(labels, "labels", items.labels)
            self._check_all_or_none(payload, "payload", items.payload)
        if labels is not None and items.labels is not None and len(self) and count:
            if labels.dtype.kind != items.labels.dtype.kind:
                rows.fail("labels", "be of the kind of those in the index", f"{labels.dtype}")
        return vectors, ids, labels, payload

    @staticmethod
    def _check_all_or_none(given, argument, there):
        if (given is None) != (there is None):
            rule = (
                "be left out, as for the rows in"
                if there is None
                else "be given, as for the rows in"
            )
            rows.fail(argument, f"{rule} the index", "some" if given is not None else "None")

    def _nearest(self, queries, k, labels, mask):
        if not len(self):
            raise ValueError("The Index is empty: add embeddings before searching in it.")
        queries = rows.vectors(queries, "queries", self._items.width)
        allowed = self._allowed(labels, mask)
        k = min(k, len(self) if allowed is None else len(allowed))
        return self._engine.search(queries, self._items.vectors, k, allowed)

    def _allowed(self, labels, mask):
        """Ascending rows that a filter leaves, or None without a filter."""
        if labels is None and mask is None:
            return None
        keep = np.ones(len(self), bool)
        if labels is not None:
            if self._items.labels is None:
                rows.fail("labels", "be left out, since the index has none", f"{labels!r}")
            keep &= np.isin(self._items.labels, rows.filter_labels(labels, self._items.labels))
        if mask is not None:
            keep &= rows.mask(mask, len(self))
        if not keep.any():
            raise ValueError("`labels` and `mask` of Index.search leave no item to search in.")
        return np.flatnonzero(keep)


def _read_only(array):
    view = array.view()
    view.flags.writeable = False
    return view
