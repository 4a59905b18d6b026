"""Draws of rows for pairs and triplets, as pure functions of the epoch and the number of the draw."""

import numpy as np
import tensorflow as tf

from keras_metric.data.randomness import below, make_key, permuted


class Draws:
    """Positive pairs, negative pairs and triplets out of a `ClassTable`.

    Draw number n of an epoch takes class n of a shuffled list of all classes, shuffled anew when it is through.
    """

    def __init__(self, table, seed, owner):
        self.seed = seed
        self.owner = owner
        self.classes = len(table.sizes)
        full = np.flatnonzero(table.sizes > 1)
        self.full = len(full)
        self._full, self._order, self._starts, self._sizes = map(
            tf.constant, (full.astype("int64"), table.order, table.starts, table.sizes)
        )

    def need(self, positives, negatives):
        """Refuses labels from which the wanted pairs cannot be made."""
        if positives and not self.full:
            raise ValueError(
                f"{self.owner} needs a class with two or more examples for its positives. "
                f"Received: {self.classes} classes with one example each."
            )
        if negatives and self.classes < 2:
            raise ValueError(
                f"{self.owner} needs two or more classes for its negatives. Received: one class."
            )

    def positives(self, epoch, number):
        """Two different rows of one class, each of the shape of `number`."""
        _, a, b = self._same(epoch, number)
        return a, b

    def negatives(self, epoch, number):
        """Rows of two different classes."""
        turn, place = number // self.classes, number % self.classes
        first = permuted(place, self.classes, make_key(self.seed, 10, epoch, turn))
        other = self._other(first, epoch, number, 11)
        return self._row(first, epoch, number, 12), self._row(other, epoch, number, 13)

    def triplets(self, epoch, number):
        """Two different rows of one class and a row of another."""
        own, a, b = self._same(epoch, number)
        other = self._other(own, epoch, number, 14)
        return a, b, self._row(other, epoch, number, 15)

    def _same(self, epoch, number):
        turn, place = number // self.full, number % self.full
        own = tf.gather(
            self._full, permuted(place, self.full, make_key(self.seed, 20, epoch, turn))
        )
        start, size = tf.gather(self._starts, own), tf.gather(self._sizes, own)
        a = below(size, self.seed, 21, epoch, number)
        b = below(size - 1, self.seed, 22, epoch, number)
        b += tf.cast(b >= a, tf.int64)
        return own, tf.gather(self._order, start + a), tf.gather(self._order, start + b)

    def _other(self, own, epoch, number, stream):
        other = below(self.classes - 1, self.seed, stream, epoch, number)
        return other + tf.cast(other >= own, tf.int64)

    def _row(self, own, epoch, number, stream):
        place = below(tf.gather(self._sizes, own), self.seed, stream, epoch, number)
        return tf.gather(self._order, tf.gather(self._starts, own) + place)
