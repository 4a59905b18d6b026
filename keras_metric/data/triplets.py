"""Triplets of an anchor, a positive and a negative."""

import tensorflow as tf

from keras_metric import checks
from keras_metric.data.pair_rows import Draws
from keras_metric.data.pipeline import batches
from keras_metric.data.prepared import prepare
from keras_metric.data.randomness import own_seed

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
    group=None,
    hierarchy=None,
    class_weights=None,
    min_examples_per_class=1,
    on_error="raise",
):
    """Triplets `((anchor, positive, negative), zeros)` for `models.siamese_triplet`.

    The anchor's class is uniform (in turn: every class with two examples before any returns), anchor and positive are
    two different rows of it; the negative's class is uniform over the others, then its row.

    Args:
        x, y, seed, map_fn, start_step, shard: see `pk_batches`. Classes of one example serve as negatives only. Of rows
            with several labels (a matrix of 0 and 1) anchor and positive share one, anchor and negative none.
        batch_size: triplets a batch.
        steps_per_epoch: None: enough that N anchors and every class with two examples come.
        group: N ids (photo session, recording); no pair is of one group.
        hierarchy: parent of each class, as a dict, or of each row (N,). Every second negative is of a class of the
            same parent, where there is one.
        class_weights: how often classes come as that of the anchor, as a dict or in sorted order (C,); they then do
            not come in turn.
        min_examples_per_class, on_error: see `pk_batches`.

    Returns:
        `tf.data.Dataset` of `((anchor, positive, negative), zeros (B,))`, each (B, …); `zeros` float32 stand where
        Keras wants targets.

    Raises:
        ValueError: where no class has two examples, or there is only one class.
    """
    return drawn_triplets(
        x, y, _OWNER, batch_size, seed, steps_per_epoch, map_fn, start_step, shard, on_error,
        group=group, hierarchy=hierarchy, class_weights=class_weights,
        min_examples_per_class=min_examples_per_class,
    )  # fmt: skip


def drawn_triplets(
    x, y, owner, batch_size, seed, steps_per_epoch, map_fn, start_step, shard, on_error,
    hard=None, **selection,
):  # fmt: skip
    """`triplets` under the name of its owner; `hard` makes `HardNegatives` of inputs, selection and seed."""
    size = checks.whole(batch_size, "batch_size", owner)
    seed = own_seed(seed, owner)
    x, chosen = prepare(x, y, owner, map_fn, on_error, several=hard is None, **selection)
    with tf.device("/CPU:0"):
        draws = Draws(chosen, seed, owner)
    draws.need(positives=True, negatives=True)
    hard = hard and hard(x, chosen, map_fn, seed)
    if steps_per_epoch is None:
        steps_per_epoch = max(1, -(-draws.full // size), len(chosen.table.order) // size)
    steps = checks.whole(steps_per_epoch, "steps_per_epoch", owner)
    slots = tf.range(size, dtype=tf.int64)

    def sampler(epoch, steps):
        number = steps[:, None] * size + slots
        anchor, positive, negative = draws.triplets(epoch, number)
        if hard is not None:
            negative = hard.negatives(anchor, negative, epoch, number)
        return tf.concat([anchor, positive, negative], axis=1)

    def finish(inputs, rows):
        roles = tuple(
            tf.nest.map_structure(lambda v, p=p: v[p : p + size], inputs)
            for p in (0, size, 2 * size)
        )
        return roles, tf.zeros((size,))

    dataset = batches(
        sampler, 3 * size, x, finish, steps, owner,
        map_fn=map_fn, start_step=start_step, shard=shard,
    )  # fmt: skip
    dataset.report = chosen.report
    if hard is not None:
        dataset.hard_negatives = hard
    return dataset
