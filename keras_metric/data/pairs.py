"""Pairs of examples that are of the same class or not."""

import tensorflow as tf

from keras_metric import checks
from keras_metric.data.pair_rows import Draws
from keras_metric.data.pipeline import batches
from keras_metric.data.prepared import prepare
from keras_metric.data.randomness import below, own_seed

_OWNER = "pairs"
_FINE = 1 << 20  # the fraction of positives is kept as a whole number of these parts


def pairs(
    x,
    y,
    batch_size=32,
    positive_fraction=0.5,
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
    """Pairs `((a, b), same)` for `models.siamese_pair`: 1 where both are of one class, 0 where not.

    The class is uniform (in turn: every class with two examples before any returns), then its rows. A positive pair
    has two different rows; a negative pair two different classes.

    Args:
        x, y, seed, map_fn, start_step, shard: see `pk_batches`. Classes of one example serve in negatives only. Of rows
            with several labels (a matrix of 0 and 1) a positive pair shares one, a negative pair none.
        batch_size: pairs a batch.
        positive_fraction: share of positive pairs, in [0, 1]; held exactly, batch after batch.
        steps_per_epoch: None: enough that N rows and every class with two examples come.
        group: N ids (photo session, recording); no pair is of one group.
        hierarchy: parent of each class, as a dict, or of each row (N,). Every second negative is of a class of the
            same parent, where there is one.
        class_weights: how often classes come as that of the anchor, as a dict or in sorted order (C,); they then do
            not come in turn.
        min_examples_per_class, on_error: see `pk_batches`.

    Returns:
        `tf.data.Dataset` of `((a (B, …), b (B, …)), same (B,))`, `same` int32.

    Raises:
        ValueError: where no class has two examples (unless `positive_fraction` is 0) or there is only one class
            (unless it is 1).
    """
    return drawn_pairs(
        x, y, _OWNER, batch_size, positive_fraction, seed, steps_per_epoch, map_fn, start_step, shard, on_error,
        group=group, hierarchy=hierarchy, class_weights=class_weights,
        min_examples_per_class=min_examples_per_class,
    )  # fmt: skip


def drawn_pairs(
    x, y, owner, batch_size, positive_fraction, seed, steps_per_epoch, map_fn, start_step, shard, on_error,
    hard=None, **selection,
):  # fmt: skip
    """`pairs` under the name of its owner; `hard` makes `HardNegatives` of inputs, selection and seed."""
    size = checks.whole(batch_size, "batch_size", owner)
    fraction = checks.number(positive_fraction, "positive_fraction", owner, at_least=0, at_most=1)
    seed = own_seed(seed, owner)
    x, chosen = prepare(x, y, owner, map_fn, on_error, several=hard is None, **selection)
    parts = round(fraction * _FINE)
    with tf.device("/CPU:0"):
        draws = Draws(chosen, seed, owner)
        ids = tf.constant(chosen.table.ids)
    several = chosen.table.ids.ndim > 1
    draws.need(positives=parts > 0, negatives=parts < _FINE)
    hard = hard and hard(x, chosen, map_fn, seed)
    if steps_per_epoch is None:
        turns = -(-draws.full * _FINE // (parts * size)) if parts else 1
        steps_per_epoch = max(1, turns, len(chosen.table.order) // size)
    steps = checks.whole(steps_per_epoch, "steps_per_epoch", owner)
    slots = tf.range(size, dtype=tf.int64)

    def sampler(epoch, steps):
        done = steps[:, None] * size * parts // _FINE  # positive pairs before this batch, (M, 1)
        here = (steps[:, None] + 1) * size * parts // _FINE - done
        # Positives are spread evenly over a batch, from another place on in each.
        slot = (slots + below(size, draws.seed, 3, epoch, steps[:, None])) % size
        before = slot * here // size
        positive = (slot + 1) * here // size > before
        turn = tf.where(positive, done + before, steps[:, None] * size - done + slot - before)
        a, b = draws.pairs(epoch, turn, positive)
        if hard is not None:
            b = tf.where(positive, b, hard.negatives(a, b, epoch, turn))
        return tf.concat([a, b], axis=1)

    def finish(inputs, rows):
        a, b = (tf.nest.map_structure(lambda v, p=p: v[p : p + size], inputs) for p in (0, size))
        y = tf.gather(ids, rows)
        same = (
            y[:size] == y[size:] if not several else tf.reduce_any(y[:size] & y[size:] > 0, axis=1)
        )
        return (a, b), tf.cast(same, tf.int32)

    dataset = batches(
        sampler, 2 * size, x, finish, steps, owner,
        map_fn=map_fn, start_step=start_step, shard=shard,
    )  # fmt: skip
    dataset.report = chosen.report
    if hard is not None:
        dataset.hard_negatives = hard
    return dataset
