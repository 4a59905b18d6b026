"""Triplets of an anchor, a positive and a negative."""

import tensorflow as tf

from keras_metric import checks
from keras_metric.data.labels import class_table
from keras_metric.data.pair_rows import Draws
from keras_metric.data.pipeline import batches
from keras_metric.data.randomness import own_seed
from keras_metric.data.rows import as_rows

_OWNER = "triplets"


def triplets(
    x,
    y,
    batch_size=32,
    seed=None,
    steps_per_epoch=None,
    map_fn=None,
    start_step=0,
    shard=None,
):
    """Triplets `((anchor, positive, negative), zeros)` for `models.siamese_triplet`.

    The anchor's class is uniform (in turn: every class with two examples before any returns), anchor and positive are
    two different rows of it; the negative's class is uniform over the others, then its row.

    Args:
        x, y, seed, map_fn, start_step, shard: see `pk_batches`. Classes of one example serve as negatives only.
        batch_size: triplets a batch.
        steps_per_epoch: None: enough that N anchors and every class with two examples come.

    Returns:
        `tf.data.Dataset` of `((anchor, positive, negative), zeros (B,))`, each (B, …); `zeros` float32 stand where
        Keras wants targets.

    Raises:
        ValueError: where no class has two examples, or there is only one class.
    """
    size = checks.whole(batch_size, "batch_size", _OWNER)
    table = class_table(y, _OWNER)
    x = as_rows(x, len(table.ids), _OWNER)
    with tf.device("/CPU:0"):
        draws = Draws(table, own_seed(seed, _OWNER), _OWNER)
    draws.need(positives=True, negatives=True)
    if steps_per_epoch is None:
        steps_per_epoch = max(1, -(-draws.full // size), len(table.ids) // size)
    steps = checks.whole(steps_per_epoch, "steps_per_epoch", _OWNER)
    slots = tf.range(size, dtype=tf.int64)

    def sampler(epoch, steps):
        return tf.concat(draws.triplets(epoch, steps[:, None] * size + slots), axis=1)

    def finish(inputs, rows):
        roles = tuple(
            tf.nest.map_structure(lambda v, p=p: v[p : p + size], inputs)
            for p in (0, size, 2 * size)
        )
        return roles, tf.zeros((size,))

    return batches(
        sampler, 3 * size, x, finish, steps, _OWNER,
        map_fn=map_fn, start_step=start_step, shard=shard,
    )  # fmt: skip
