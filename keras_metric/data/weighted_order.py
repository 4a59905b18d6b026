"""Classes of a batch by weight, none twice."""

import tensorflow as tf

from keras_metric.data.randomness import below


class Weighted:
    """Draws of classes in proportion to their weights, at a cost that grows with the logarithm of their number.

    Args:
        weights: whole numbers > 0, shape (C,), with a sum below 2^32.
        seed: of the pipeline.
    """

    def __init__(self, weights, seed):
        self.total = int(weights.sum())
        self.seed = seed
        self._weights = tf.constant(weights, tf.int64)
        self._ends = tf.cumsum(self._weights)

    def one(self, *key):
        """A class for each value of the key."""
        place = below(self.total, self.seed, 41, *key)
        return self._at(place)

    def several(self, count, epoch, steps):
        """`count` different classes for each step, (M, count): each in proportion to what is left.

        The places of the classes drawn before are taken out of the line on which the next one is drawn.
        """
        rows = tf.size(steps)
        lefts = tf.fill((rows, count), tf.constant(2**62, tf.int64))
        widths = tf.zeros((rows, count), tf.int64)

        def draw(i, lefts, widths, chosen):
            order = tf.argsort(lefts, axis=1)
            left = tf.gather(lefts, order, batch_dims=1)
            width = tf.gather(widths, order, batch_dims=1)
            gone = tf.cumsum(width, axis=1, exclusive=True)
            free = self.total - tf.reduce_sum(widths, axis=1)
            place = below(free, self.seed, 40, epoch, steps, i)
            passed = place[:, None] >= left - gone
            place += tf.reduce_sum(tf.where(passed, width, 0), axis=1)
            own = self._at(place)
            here = tf.range(count)[None] == i
            lefts = tf.where(
                here, (tf.gather(self._ends, own) - tf.gather(self._weights, own))[:, None], lefts
            )
            widths = tf.where(here, tf.gather(self._weights, own)[:, None], widths)
            return i + 1, lefts, widths, tf.where(here, own[:, None], chosen)

        state = (tf.constant(0), lefts, widths, tf.zeros((rows, count), tf.int64))
        return tf.while_loop(lambda i, *_: i < count, draw, state)[-1]

    def _at(self, place):
        """The class that holds each place of the line."""
        flat = tf.searchsorted(
            self._ends, tf.reshape(place, (-1,)), side="right", out_type=tf.int64
        )
        return tf.reshape(flat, tf.shape(place))


def weighted_order(weights, per_batch, seed):
    """As `class_order`, with classes in proportion to their weights; visits are the numbers of the steps."""
    draws = Weighted(weights, seed)

    def sample(epoch, steps):
        chosen = draws.several(per_batch, epoch, steps)
        return chosen, tf.zeros_like(chosen) + steps[:, None]

    return sample
