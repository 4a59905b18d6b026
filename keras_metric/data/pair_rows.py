"""Draws of rows for pairs and triplets, as pure functions of the epoch and the number of the draw."""

import numpy as np
import tensorflow as tf

from keras_metric.data.parent_order import Families
from keras_metric.data.randomness import below, make_key, permuted
from keras_metric.data.weighted_order import Weighted

_TRIES = 10_000  # draws of a negative before giving up
_TILE = 64


def _without_stranger(table):
    """A row that shares a label with every other row, or None."""
    rows = np.unique(table.order)
    packed = np.packbits(table.ids[rows].astype(bool), axis=1)
    sets = rows[np.unique(packed, axis=0, return_index=True)[1]]
    labels = table.ids[sets].astype("float32")
    left = np.arange(len(sets))
    for start in range(0, len(sets), _TILE):  # most are through after the first tile
        left = left[(labels[left] @ labels[start : start + _TILE].T).min(axis=1) > 0]
        if not len(left):
            return None
    return sets[left].min()


class Draws:
    """Positive pairs, negative pairs and triplets out of a `Selection`.

    Where rows have several labels, a pair is positive if it shares one and negative if it shares none.

    Draw number n of an epoch takes class n of a shuffled list of all classes, shuffled anew when it is through, or,
    with weights, any class in proportion to its weight.
    """

    def __init__(self, chosen, seed, owner):
        table, self._units = chosen.table, chosen.units
        self.seed = seed
        self.owner = owner
        self.classes = len(table.sizes)
        parts = table.sizes if self._units is None else self._units.counts
        full = np.flatnonzero(parts > 1)
        self.full = len(full)
        self._full, self._order, self._starts, self._sizes = map(
            tf.constant, (full.astype("int64"), table.order, table.starts, table.sizes)
        )
        self._labels = None
        if table.ids.ndim > 1:
            self._labels = tf.constant(table.ids.astype(bool))
            self._lonely = _without_stranger(table)
        self._family = None if chosen.parents is None else Families(chosen.parents)
        self._weighted = self._weighted_full = None
        if chosen.weights is not None:
            self._weighted = Weighted(chosen.weights, make_key(seed, 1))
            if self.full:
                self._weighted_full = Weighted(chosen.weights[full], make_key(seed, 2))
        if self._units is not None:
            self._prepare_units(self._units)

    def need(self, positives, negatives):
        """Refuses labels from which the wanted pairs cannot be made."""
        grouped = self._units is not None
        if positives and not self.full:
            what = "examples of different groups" if grouped else "examples"
            came = "one group each" if grouped else "one example each"
            raise ValueError(
                f"{self.owner} needs a class with two or more {what} for its positives. "
                f"Received: {self.classes} classes with {came}."
            )
        if negatives and self.classes < 2:
            raise ValueError(
                f"{self.owner} needs two or more classes for its negatives. Received: one class."
            )
        if negatives and self._labels is not None and self._lonely is not None:
            raise ValueError(
                f"{self.owner} needs examples without a common label for its negatives. "
                f"Received: row {self._lonely}, which shares a label with every other row."
            )
        if negatives and grouped and self._units.crossing and self._labels is None:
            self._need_other_groups(self._units)

    def _need_other_groups(self, units):
        """Every example must find another class that is not wholly of its own group."""
        of_class = np.repeat(np.arange(self.classes), units.counts)
        lone = units.counts[of_class] == 1
        whole = np.bincount(units.group[lone], minlength=units.group.max() + 1)
        stuck = np.flatnonzero(self.classes - 1 - (whole[units.group] - lone) < 1)
        if len(stuck):
            raise ValueError(
                f"{self.owner} finds no negative for the {units.sizes[stuck[0]]} examples of one group of class number "
                f"{of_class[stuck[0]]}: all other classes are of the same group. Leave `group` out or merge groups."
            )

    def _prepare_units(self, units):
        of_class = np.repeat(np.arange(self.classes), units.counts)
        self._groups = int(units.group.max()) + 1
        self._unit_starts, self._unit_sizes, self._unit_of, self._unit_group, self._unit_keys = (
            tf.constant(a, tf.int64)
            for a in (
                units.starts, units.sizes, units.of_position, units.group, of_class * self._groups + units.group,
            )
        )  # fmt: skip

    def pairs(self, epoch, number, positive):
        """Rows of two examples, of one class where `positive` and else of two, and of different groups.

        Positive pairs and negative pairs are numbered each on their own.
        """
        own = self._class(epoch, number, positive)
        a = self._within(own, epoch, number, 21)
        same = self._partner(own, a, epoch, number)
        other = self._other(own, a, epoch, number, 11) if self.classes > 1 else same
        return tf.gather(self._order, a), tf.gather(self._order, tf.where(positive, same, other))

    def triplets(self, epoch, number):
        """Two different rows of one class and a row of another."""
        own, a, b = self._same(epoch, number)
        other = self._other(own, a, epoch, number, 14)
        return tuple(tf.gather(self._order, place) for place in (a, b, other))

    def _class(self, epoch, number, full):
        """The class of each draw: where `full` one with positives, else any."""
        if self._weighted is not None:
            any_class = self._weighted.one(10, epoch, number)
            if not self.full:
                return any_class
            own = tf.gather(self._full, self._weighted_full.one(20, epoch, number))
            return tf.where(full, own, any_class)
        size = tf.where(full, tf.constant(max(self.full, 1), tf.int64), self.classes)
        stream = tf.where(full, tf.constant(20, tf.int64), 10)
        key = make_key(self.seed, stream, epoch, number // size)
        place = permuted(number % size, size, key)
        own = tf.gather(self._full, tf.minimum(place, self.full - 1)) if self.full else place
        return tf.where(full, own, place)

    def _same(self, epoch, number):
        """A class with positives and the positions of two of its rows."""
        own = self._class(epoch, number, tf.ones_like(number, tf.bool))
        a = self._within(own, epoch, number, 21)
        return own, a, self._partner(own, a, epoch, number)

    def _partner(self, own, a, epoch, number):
        """The position of another row of the class, of another group than that of position `a`."""
        start, size = tf.gather(self._starts, own), tf.gather(self._sizes, own)
        first, count = a, tf.ones_like(a)  # what it must not be
        if self._units is not None:
            unit = tf.gather(self._unit_of, a)
            first, count = tf.gather(self._unit_starts, unit), tf.gather(self._unit_sizes, unit)
        b = start + below(tf.maximum(size - count, 1), self.seed, 22, epoch, number)
        return tf.where(b >= first, b + count, b)

    def _other(self, own, a, epoch, number, stream):
        """The position of a row of another class than `own` and another group than that of position `a`."""
        crossing = self._units is not None and self._units.crossing
        if not crossing and self._labels is None:
            other = self._other_class(own, epoch, number, stream, 0)
            return self._within(other, epoch, number, stream + 100)
        group = tf.gather(self._unit_group, tf.gather(self._unit_of, a)) if crossing else None

        def again(i, position, missing):
            other = self._other_class(own, epoch, number, stream, i)
            size = tf.gather(self._sizes, other)
            first, count = self._of_group(other, group) if crossing else (0, tf.zeros_like(a))
            found = below(tf.maximum(size - count, 1), self.seed, stream + 100, epoch, number, i)
            found += tf.gather(self._starts, other)
            found = tf.where((count > 0) & (found >= first), found + count, found)
            good = size > count
            if self._labels is not None:
                good &= ~self._share(a, found)
            return i + 1, tf.where(missing & good, found, position), missing & ~good

        def wanted(i, position, missing):
            return (i < _TRIES) & tf.reduce_any(missing)

        state = (tf.constant(0, tf.int64), tf.zeros_like(a), tf.ones_like(a, tf.bool))
        _, position, missing = tf.while_loop(wanted, again, state)
        none = f"{self.owner} found no negative for an example in {_TRIES} draws: almost all share a label or group."
        with tf.control_dependencies([tf.debugging.Assert(~tf.reduce_any(missing), [none])]):
            return tf.identity(position)

    def _of_group(self, classes, group):
        """Where a group begins in each class, as positions, and how many examples of it there are."""
        key = classes * self._groups + group
        unit = tf.searchsorted(self._unit_keys, tf.reshape(key, (-1,)), out_type=tf.int64)
        unit = tf.minimum(tf.reshape(unit, tf.shape(key)), tf.size(self._unit_keys, tf.int64) - 1)
        there = tf.gather(self._unit_keys, unit) == key
        return tf.gather(self._unit_starts, unit), tf.where(
            there, tf.gather(self._unit_sizes, unit), 0
        )

    def _share(self, a, b):
        """Whether the examples at two positions have a label in common."""
        a, b = (tf.gather(self._labels, tf.gather(self._order, place)) for place in (a, b))
        return tf.reduce_any(a & b, axis=-1)

    def _other_class(self, own, epoch, number, stream, attempt):
        """A class uniform over the others; with a hierarchy, every second time a sibling if there is one."""
        key = (self.seed, stream, epoch, number, attempt)
        other = below(self.classes - 1, *key)
        other += tf.cast(other >= own, tf.int64)
        if self._family is None:
            return other
        family = self._family
        parent = tf.gather(family.parents, own)
        siblings = tf.gather(family.sizes, parent) - 1
        place = below(tf.maximum(siblings, 1), *key, 1)
        place += tf.cast(place >= tf.gather(family.place, own), tf.int64)
        place = tf.minimum(place, siblings) + tf.gather(family.starts, parent)
        near = (siblings > 0) & (below(2, *key, 2) == 0)
        return tf.where(near, tf.gather(family.members, place), other)

    def _within(self, own, epoch, number, stream):
        """The position of a row of a class, uniform."""
        place = below(tf.gather(self._sizes, own), self.seed, stream, epoch, number)
        return tf.gather(self._starts, own) + place
