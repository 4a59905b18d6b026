"""The table of hard negatives that a dataset draws from, and that can be renewed while a model trains on it."""

import numpy as np
import tensorflow as tf

from keras_metric import checks
from keras_metric.data.neighbours import hardest_negatives
from keras_metric.data.randomness import below
from keras_metric.data.rows import gather


class HardNegatives:
    """Attribute `hard_negatives` of the datasets of `hard_triplets` and `hard_pairs`.

    `update(embeddings)` renews it; the next epoch draws from what is new. `callbacks.RefreshHardNegatives` does that
    during `fit`.

    Attributes:
        found: how many examples have a hard negative; the others get random ones. None before the first update.
    """

    def __init__(self, x, chosen, map_fn, rank_window, margin, distance, seed, owner):
        self.owner = owner
        self.distance = checks.choice(distance, "distance", owner, ("cosine", "euclidean"))
        self.margin = None if margin is None else checks.number(margin, "margin", owner)
        self.window = _window(rank_window, owner)
        self.found = None
        self._x, self._chosen, self._map_fn, self._seed = x, chosen, map_fn, seed
        self._count = len(chosen.table.ids)
        with tf.init_scope(), tf.device("/CPU:0"):
            width = self.window[1] - self.window[0]
            zeros = tf.zeros((self._count, width), tf.int32)
            self._rows = tf.Variable(zeros, trainable=False, name="hard_negatives")
            self._counts = tf.Variable(zeros[:, 0], trainable=False, name="hard_negative_counts")

    def update(self, embeddings):
        """Finds the hard negatives anew.

        Args:
            embeddings: floats (N, D), a row for each row of x.
        """
        embeddings = np.asarray(embeddings)
        if embeddings.ndim != 2 or len(embeddings) != self._count:
            raise ValueError(
                f"`embeddings` of {self.owner} must have the shape ({self._count}, dimensions), a row for each row of "
                f"x. Received: shape {embeddings.shape}."
            )
        taken = self._chosen.table.order
        bad = taken[~np.isfinite(embeddings[taken]).all(axis=1)]
        if len(bad):
            raise ValueError(
                f"`embeddings` of {self.owner} must be finite. Received: NaN or infinity in {len(bad)} rows, "
                f"first in row {bad.min()}."
            )
        rows, counts = hardest_negatives(
            embeddings,
            self._chosen.table,
            self._chosen.units,
            self.window,
            self.margin,
            self.distance,
        )
        self._rows.assign(rows)
        self._counts.assign(counts)
        self.found = int((counts > 0).sum())

    def batches(self, batch_size=256):
        """Dataset of `(x (B, …), rows (B,))` over all rows that take part, once, in order: what to embed."""
        rows = tf.data.Dataset.from_tensor_slices(np.sort(self._chosen.table.order))

        def load(row):
            x = gather(self._x, row)
            return (x if self._map_fn is None else self._map_fn(x)), row

        if self._map_fn is None:
            return rows.batch(batch_size).map(load).prefetch(2)
        return rows.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size).prefetch(2)

    def update_rows(self, embeddings, rows):
        """`update` from embeddings (M, D) of the given rows, in any order; the others take no part."""
        whole = np.full((self._count, embeddings.shape[1]), np.nan, "float32")
        whole[rows] = embeddings
        self.update(whole)

    def negatives(self, anchors, otherwise, epoch, number):
        """A hard negative of every anchor, uniform over its window; `otherwise` where it has none."""
        counts = tf.gather(self._counts, anchors)
        place = below(tf.maximum(counts, 1), self._seed, 70, epoch, number)
        hard = tf.gather_nd(self._rows, tf.stack([anchors, place], axis=-1))
        return tf.where(counts > 0, tf.cast(hard, tf.int64), otherwise)


def make_hard(embeddings, rank_window, margin, distance, owner):
    """Function of inputs, selection, `map_fn` and seed that makes `HardNegatives`, filled if there are embeddings."""

    def make(x, chosen, map_fn, seed):
        hard = HardNegatives(x, chosen, map_fn, rank_window, margin, distance, seed, owner)
        if embeddings is not None:
            hard.update(embeddings)
        return hard

    return make


def _window(rank_window, owner):
    rule = "be (first, stop) with 0 <= first < stop, such as (0, 10)"
    try:
        first, stop = map(int, rank_window)
    except (TypeError, ValueError):
        first, stop = 0, 0
    if not 0 <= first < stop:
        checks.fail("rank_window", owner, rule, rank_window)
    return first, stop
