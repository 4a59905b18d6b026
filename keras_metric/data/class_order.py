"""Which classes a batch has: every class before any class returns, and never one twice in a batch."""

import math

import tensorflow as tf

from keras_metric.data.randomness import make_key, permuted


def class_order(classes, per_batch, seed):
    """The sampler of classes for P of C classes a batch.

    Returns:
        Function `(epoch, steps (M,)) → (classes (M, P), visits (M, P))`, int64, where `visits` counts how often the
        class came before in this epoch.
    """
    if classes >= 2 * per_batch:
        return _rounds(classes, per_batch, seed)
    return _least_seen(classes, per_batch, seed)


def _rounds(classes, per_batch, seed):
    """Many classes: permutations of all classes one after the other, cut into batches.

    Where a batch holds the end of one permutation and the head of the next, the first P of the next are put in such
    an order that those in the batch already come last among them.
    """
    slots = tf.range(per_batch, dtype=tf.int64)

    def order(position, epoch, number):
        return permuted(position, classes, make_key(seed, 1, epoch, number))

    def sample(epoch, steps):
        slot = steps[:, None] * per_batch + slots  # (M, P)
        number, position = slot // classes, slot % classes
        newest = number[:, -1:]  # (M, 1)
        head, before = tf.zeros_like(slot) + slots, tf.zeros_like(slot) + newest
        places = tf.stack([position, head, classes - per_batch + head])
        numbers = tf.stack([number, before, tf.maximum(before - 1, 0)])
        chosen, head, before = tf.unstack(order(places, epoch, numbers))
        in_batch = (
            slots[None] >= per_batch - newest * classes % per_batch
        )  # (M, P): tail of the round before
        in_batch &= newest > 0
        clash = tf.reduce_any((head[:, :, None] == before[:, None]) & in_batch[:, None], axis=2)
        head = tf.gather(head, tf.argsort(tf.cast(clash, tf.int32), stable=True), batch_dims=1)
        at_head = (number == newest) & (position < per_batch)
        placed = tf.gather(head, tf.minimum(position, per_batch - 1), batch_dims=1)
        return tf.where(at_head, placed, chosen), number

    return sample


def _least_seen(classes, per_batch, seed):
    """Few classes: each batch takes the P that were seen least, ties at random.

    All classes are even again after C / gcd(C, P) batches, so each such run of batches stands alone.
    """
    run = classes // math.gcd(classes, per_batch)
    visits_a_run = per_batch // math.gcd(classes, per_batch)
    ids = tf.range(classes, dtype=tf.int64)

    def sample(epoch, steps):
        first = steps[0] // run
        runs = tf.range(first, steps[-1] // run + 1)

        def step(i, seen, chosen, visits):
            key = make_key(seed, 1, epoch, runs[:, None] * run + tf.cast(i, tf.int64), ids)
            noise = tf.cast(tf.bitwise.right_shift(key, tf.constant(40, tf.uint64)), tf.int64)
            rank = (seen * 2**24 + noise) * classes + ids  # all different
            least, picked = tf.math.top_k(-rank, per_batch)
            chosen = chosen.write(i, picked)
            visits = visits.write(i, tf.gather(seen, picked, batch_dims=1))
            return i + 1, seen + tf.cast(-rank >= least[:, -1:], tf.int64), chosen, visits

        arrays = [tf.TensorArray(dtype, size=run) for dtype in (tf.int32, tf.int64)]
        none = tf.zeros((tf.size(runs), classes), tf.int64)
        _, _, chosen, visits = tf.while_loop(
            lambda i, *_: i < run, step, (tf.constant(0), none, *arrays)
        )

        def pick(array):  # (run, runs, P) → (M, P)
            stacked = tf.cast(array.stack(), tf.int64)
            return tf.gather_nd(stacked, tf.stack([steps % run, steps // run - first], axis=1))

        return pick(chosen), pick(visits) + (steps // run * visits_a_run)[:, None]

    return sample
