"""Which gallery items count for a query, and which are left out of its ranking."""

import numpy as np

from keras_metric.evaluation.labels import Classes


def relevance_of(queries, gallery, grades=None, shape=None):
    """`ByClass`, `BySets` or `ByGrade`.

    Args:
        queries, gallery: both `Classes` or both `ClassSets`; None with grades.
        grades: None, array (Q, G) of numbers >= 0, or a function of query rows (n,) and gallery rows
            (n, m) that gives (n, m).
        shape: (Q, G), needed with grades.
    """
    if grades is not None:
        return ByGrade(grades, shape)
    return (ByClass if isinstance(queries, Classes) else BySets)(queries, gallery)


class ByClass:
    """Relevant = of the same class."""

    calls_back = False  # whether it runs a function of the user's, which may bear one thread only

    def __init__(self, queries, gallery):
        self.queries, self.gallery = queries.codes, gallery.codes

    def at(self, rows, columns):
        """Whether the gallery items `columns` (n, m) or (m,) are relevant for the queries `rows` (n,)."""
        return self.gallery[columns] == self.queries[rows][:, None]

    def counts(self, left_out):
        """Relevant items of each query, (Q,), without those left out."""
        sizes = np.bincount(self.gallery, minlength=self.queries.max(initial=-1) + 1)
        counts = sizes[self.queries]
        if left_out.groups is not None:
            counts = counts - self._in_own_group(*left_out.groups)
        elif left_out.self:
            counts = counts - 1
        return counts

    def _in_own_group(self, query_groups, gallery_groups):
        width = int(max(query_groups.max(), gallery_groups.max())) + 1
        pairs, sizes = np.unique(self.gallery.astype("int64") * width + gallery_groups, return_counts=True)  # fmt: skip
        wanted = self.queries.astype("int64") * width + query_groups
        place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        return np.where(pairs[place] == wanted, sizes[place], 0)


class _ByBlock:
    calls_back = False

    def counts(self, left_out):
        """Relevant items of each query, (Q,), without those left out."""
        queries, gallery = self.shape
        step = max(2**23 // gallery, 1)
        counts = np.zeros(queries, "int64")
        for start in range(0, queries, step):
            rows = np.arange(start, min(start + step, queries))
            block = self.block(rows)
            left_out.mark(block, rows, False)
            counts[rows] = np.count_nonzero(block, axis=1)
        return counts


class BySets(_ByBlock):
    """Relevant = sharing a class."""

    def __init__(self, queries, gallery):
        self.queries, self.gallery = queries, gallery
        self.shape = (len(queries), len(gallery))

    def at(self, rows, columns):
        """As `ByClass.at`."""
        shared = False
        for word in range(self.queries.bits.shape[1]):
            own = self.queries.bits[rows, word][:, None]
            shared = shared | ((own & self.gallery.bits[columns, word]) != 0)
        return shared

    def block(self, rows):
        """(n, G) booleans."""
        return self.at(rows, slice(None))


class ByGrade(_ByBlock):
    """Relevant = of a grade above 0."""

    def __init__(self, grades, shape):
        self.calls_back = callable(grades)
        self.of = grades if callable(grades) else None
        self.matrix = None if callable(grades) else checked_grades(np.asarray(grades), shape)
        self.shape = shape

    def grades(self, rows, columns):
        """Grades (n, m) of the gallery items `columns` (n, m) or (m,)."""
        if self.matrix is not None:
            return np.asarray(self.matrix[rows[:, None], columns], "float64")
        columns = np.broadcast_to(columns, (len(rows), columns.shape[-1]))
        return checked_grades(np.asarray(self.of(rows, columns), "float64"), columns.shape)

    def at(self, rows, columns):
        """As `ByClass.at`."""
        return self.grades(rows, columns) > 0

    def block(self, rows):
        """(n, G) booleans."""
        return self.grades(rows, np.arange(self.shape[1])) > 0


def checked_grades(grades, shape):
    """Refuses grades of another shape, below 0 or not finite."""
    if grades.shape != shape:
        raise ValueError(
            f"`relevance` of retrieval must have the shape {shape}. Received: shape {grades.shape}."
        )
    wrong = ~(np.isfinite(grades) & (grades >= 0))
    if wrong.any():
        raise ValueError(
            "`relevance` of retrieval must be finite numbers >= 0. "
            f"Received: {grades[wrong][0]!r} and {int(wrong.sum()) - 1} more like it."
        )
    return grades


class LeftOut:
    """What does not count for a query: the query itself, or every item of its group.

    Args:
        itself: whether query i is gallery item i.
        groups: None, or the codes of (queries, gallery).
    """

    def __init__(self, itself, groups=None):
        self.self, self.groups = itself, groups
        if groups is not None:
            order = np.argsort(groups[1], kind="stable")
            starts = np.searchsorted(groups[1][order], np.arange(groups[1].max() + 2))
            self._members = lambda group: (
                order[starts[group] : starts[group + 1]] if group + 1 < len(starts) else order[:0]
            )

    def mark(self, tile, rows, value):
        """Writes `value` where an item is left out for the queries `rows` of a tile (n, G)."""
        if self.groups is not None:
            for i, group in enumerate(self.groups[0][rows]):
                tile[i, self._members(group)] = value
        elif self.self:
            tile[np.arange(len(rows)), rows] = value

    def available(self, gallery, queries):
        """Items left for each query, (Q,)."""
        if self.groups is not None:
            width = int(max(part.max() for part in self.groups)) + 1
            return gallery - np.bincount(self.groups[1], minlength=width)[self.groups[0]]
        return np.full(queries, gallery - int(self.self))
