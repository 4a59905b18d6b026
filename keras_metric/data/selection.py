"""Which rows and classes take part, and what is known of them: groups, parents, weights."""

from typing import NamedTuple

import numpy as np

from keras_metric import checks
from keras_metric.data.labels import ClassTable, class_table, label_array, without_classes
from keras_metric.data.report import Report
from keras_metric.data.report import skipped as skipped_in_words

_WHOLE = 1 << 31  # weights are kept as whole numbers with about this sum


class Units(NamedTuple):
    """What a class is made of: its groups or, without groups, its rows; a unit has `sizes` rows from `starts` on.

    Class c has the units `first[c] : first[c] + counts[c]`. Positions count the rows of `ClassTable.order`.
    """

    first: np.ndarray  # (C,)
    counts: np.ndarray  # (C,)
    starts: np.ndarray  # (U,)
    sizes: np.ndarray  # (U,)
    of_position: np.ndarray  # (positions,) the unit that a position belongs to
    group: np.ndarray  # (U,) number of the group, the same in every class
    crossing: bool  # whether a group has rows of several classes


class Selection(NamedTuple):
    """All that the samplers know."""

    table: ClassTable
    units: Units | None  # None: every row stands alone
    parents: np.ndarray | None  # (C,) 0 … parents − 1
    weights: np.ndarray | None  # (C,) whole numbers > 0
    report: Report


def select(
    y,
    owner,
    leave=(),
    skipped=(),
    group=None,
    hierarchy=None,
    class_weights=None,
    min_examples_per_class=1,
    several=False,
):
    """The `Selection` of labels; for the arguments see `pk_batches`.

    Args:
        leave: rows that take no part.
        skipped: `(item, reason)` of what could not be read, for the report.
        several: whether rows may have several labels.
    """
    least = checks.whole(min_examples_per_class, "min_examples_per_class", owner)
    if hierarchy is not None and class_weights is not None:
        raise ValueError(f"{owner} takes `hierarchy` or `class_weights`, not both.")
    table = class_table(y, owner, leave, several)
    weights = None if class_weights is None else _weights(class_weights, table, owner)
    keep = table.sizes >= least
    small = {
        name: int(n)
        for name, n in zip(table.names[~keep].tolist(), table.sizes[~keep], strict=True)
    }
    if weights is not None:
        keep &= weights > 0
    if not keep.any():
        raise ValueError(
            f"{owner} has no class left: none of {len(keep)} has {least} or more examples and a weight above 0."
            + (f" It skipped {skipped_in_words(skipped)}." if skipped else "")
        )
    parents = None if hierarchy is None else _parents(hierarchy, table, owner)
    if not keep.all():
        table = without_classes(table, keep)
        parents = None if parents is None else np.unique(parents[keep], return_inverse=True)[1]
        weights = None if weights is None else weights[keep]
    units = None
    if group is not None:
        table, units = _grouped(table, group, owner)
    if weights is not None:
        weights = np.maximum(1, np.round(weights / weights.sum() * _WHOLE)).astype("int64")
    counts = dict(zip(table.names.tolist(), table.sizes.tolist(), strict=True))
    report = Report(counts, small, list(skipped))
    return Selection(table, units, parents, weights, report)


def _weights(given, table, owner):
    """Weights (C,) as float64; a mapping may leave classes out, which then have 1."""
    names = table.names.tolist()
    if isinstance(given, dict):
        known = set(names)
        unknown = [name for name in given if name not in known]
        if unknown:
            checks.fail("class_weights", owner, "name classes of y", unknown[0])
        given = [given.get(name, 1.0) for name in names]
    weights = np.asarray(given, "float64")
    if weights.shape != (len(names),):
        raise ValueError(
            f"`class_weights` of {owner} must have a weight for each of the {len(names)} classes, in sorted order, "
            f"or be a dict. Received: shape {weights.shape}."
        )
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        checks.fail("class_weights", owner, "be finite and >= 0", float(weights[bad[0]]))
    return weights


def _parents(given, table, owner):
    """Numbers of the parents (C,)."""
    names = table.names.tolist()
    if isinstance(given, dict):
        missing = [name for name in names if name not in given]
        if missing:
            raise ValueError(
                f"`hierarchy` of {owner} must name a parent for every class. Received: none for {missing[0]!r}"
                f"{f' (and {len(missing) - 1} more)' if len(missing) > 1 else ''}."
            )
        of_class = label_array([given[name] for name in names], "hierarchy", owner)
        return np.unique(of_class, return_inverse=True)[1].reshape(-1)
    of_row = label_array(given, "hierarchy", owner)
    _same_length(of_row, table, "hierarchy", owner)
    numbers = np.unique(of_row, return_inverse=True)[1].reshape(-1)
    parents = np.zeros(len(names), "int64")
    dense = np.repeat(np.arange(len(names)), table.sizes)
    parents[dense] = numbers[table.order]
    torn = np.flatnonzero(parents[dense] != numbers[table.order])
    if len(torn):
        raise ValueError(
            f"`hierarchy` of {owner} must give a class one parent. "
            f"Received: two for class {names[dense[torn[0]]]!r} (row {table.order[torn[0]]})."
        )
    return parents


def _grouped(table, group, owner):
    """The table with the rows of a class sorted by group, and its `Units`."""
    groups = label_array(group, "group", owner)
    _same_length(groups, table, "group", owner)
    numbers = np.unique(groups, return_inverse=True)[1].reshape(-1)
    dense = np.repeat(np.arange(len(table.sizes)), table.sizes)
    resorted = np.lexsort((numbers[table.order], dense))
    order = table.order[resorted]
    own = numbers[order]
    new = np.ones(len(order), bool)
    new[1:] = (own[1:] != own[:-1]) | (dense[1:] != dense[:-1])
    starts = np.flatnonzero(new)
    sizes = np.diff(np.append(starts, len(order)))
    counts = np.bincount(dense[starts], minlength=len(table.sizes))
    return table._replace(order=order), Units(
        first=np.cumsum(counts) - counts,
        counts=counts,
        starts=starts,
        sizes=sizes,
        of_position=np.cumsum(new) - 1,
        group=own[starts],
        crossing=len(np.unique(own[starts])) < len(starts),
    )


def _same_length(values, table, argument, owner):
    if len(values) != len(table.ids):
        raise ValueError(
            f"`{argument}` and `y` of {owner} must have the same number of rows. "
            f"Received: {len(values)} and {len(table.ids)}."
        )
