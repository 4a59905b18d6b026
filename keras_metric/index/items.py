"""What an index holds, row by row: embeddings, ids, labels and payload."""

import numpy as np

from keras_metric.index import rows


class Items:
    """Rows in the order of adding, in arrays that grow by doubling.

    Attributes:
        count: number of rows.
        place: dict from id to row.
    """

    def __init__(self, vectors=None, ids=None, labels=None, payload=None):
        self._vectors = vectors
        self._ids = ids
        self._labels = labels
        self._payload = payload
        self.count = 0 if ids is None else len(ids)
        self._place = None

    @property
    def vectors(self):
        """(N, D) float32."""
        return np.empty((0, 0), "float32") if self._vectors is None else self._vectors[: self.count]

    @property
    def ids(self):
        """(N,) int64 or str."""
        return np.empty(0, "int64") if self._ids is None else self._ids[: self.count]

    @property
    def labels(self):
        """(N,) int64 or str, or None."""
        return None if self._labels is None else self._labels[: self.count]

    @property
    def payload(self):
        """List of N, or None."""
        return self._payload

    @property
    def width(self):
        """D, or None before anything was added."""
        return None if self._vectors is None else self._vectors.shape[1]

    @property
    def place(self):
        """dict from id to row; made at first use, since a loaded index may only be searched."""
        if self._place is None:
            self._place = {value: row for row, value in enumerate(self.ids.tolist())}
        return self._place

    def append(self, vectors, ids, labels, payload):
        """Adds checked rows."""
        self.place.update(zip(ids.tolist(), range(self.count, self.count + len(ids)), strict=True))
        self._vectors = _appended(self._vectors, self.count, vectors)
        self._ids = _appended(self._ids, self.count, ids)
        if labels is not None:
            self._labels = _appended(self._labels, self.count, labels)
        if payload is not None:
            self._payload = [*(self._payload or []), *payload]
        self.count += len(ids)

    def replace(self, places, vectors, labels, payload):
        """Puts checked rows in the place of others."""
        self._vectors = _writable(self._vectors)
        self._vectors[places] = vectors
        if labels is not None:
            self._labels = _widened(_writable(self._labels), labels)
            self._labels[places] = labels
        for place, one in zip(places.tolist(), payload or (), strict=payload is not None):
            self._payload[place] = one

    def keep(self, mask):
        """Drops the rows that a mask leaves out."""
        self._vectors = self.vectors[mask]
        self._ids = self.ids[mask]
        self._labels = None if self._labels is None else self.labels[mask]
        if self._payload is not None:
            self._payload = [one for one, kept in zip(self._payload, mask, strict=True) if kept]
        self.count = len(self._ids)
        self._place = None

    def next_ids(self, count):
        """Ids that continue from the highest."""
        if self.ids.dtype.kind == "U":
            rows.fail("ids", "be given, since those of the index are texts", "ids=None")
        highest = int(self.ids.max()) if self.count else -1
        if highest > np.iinfo("int64").max - count:
            rows.fail("ids", "be given, since the highest is the last of int64", "ids=None")
        return np.arange(highest + 1, highest + 1 + count, dtype="int64")


def _appended(array, count, more):
    if array is None:
        return more.copy()
    dtype = np.promote_types(array.dtype, more.dtype)
    needed = count + len(more)
    if needed > len(array) or dtype != array.dtype or not array.flags.writeable:
        grown = np.empty((max(needed, 2 * count), *array.shape[1:]), dtype)
        grown[:count] = array[:count]
        array = grown
    array[count:needed] = more
    return array


def _writable(array):
    """A copy of what is mapped read-only from a file."""
    return array if array.flags.writeable else np.array(array)


def _widened(array, more):
    return array.astype(np.promote_types(array.dtype, more.dtype), copy=False)
