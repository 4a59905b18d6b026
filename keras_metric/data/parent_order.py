"""Batches of which half of the classes share a parent: negatives that are hard by nature."""

import warnings

import numpy as np
import tensorflow as tf

from keras_metric import checks
from keras_metric.data.class_order import class_order
from keras_metric.data.randomness import make_key, permuted


class Families:
    """Which classes have the same parent, as tensors."""

    def __init__(self, parents):
        members = np.argsort(parents, kind="stable")
        sizes = np.bincount(parents)
        starts = np.cumsum(sizes) - sizes
        place = np.empty(len(parents), "int64")
        place[members] = np.arange(len(parents)) - np.repeat(starts, sizes)
        self.parents, self.members, self.sizes, self.starts, self.place = (
            tf.constant(a, tf.int64) for a in (parents, members, sizes, starts, place)
        )


def parent_order(parents, per_batch, seed, owner):
    """As `class_order`, with ⌈P/2⌉ classes of one parent in every batch (or all that it has), and others from anywhere.

    Parents take turns, larger ones more often, so that in a turn of all parents each class is among its siblings once.
    The rest of a batch comes from permutations of all classes, of which those that are in it already are passed over.
    """
    if per_batch < 2:
        checks.fail("classes_per_batch", owner, "be 2 or more with `hierarchy`", per_batch)
    half = -(-per_batch // 2)
    sizes = np.bincount(parents)
    if (sizes < half).any():
        warnings.warn(
            f"{(sizes < half).sum()} of {len(sizes)} parents of {owner} have fewer than {half} classes, half of "
            "classes_per_batch: the rest of their batches comes from other parents.",
            stacklevel=4,
        )
    family = Families(parents)
    many = np.flatnonzero(sizes > 1) if (sizes > 1).any() else np.arange(len(sizes))
    parts = -(-sizes[many] // half)
    part_of = tf.constant(np.concatenate([np.arange(n) for n in parts]), tf.int64)
    parent_of = tf.constant(np.repeat(many, parts), tf.int64)
    turns = int(parts.sum())
    others = class_order(len(parents), per_batch, seed)
    slots = tf.range(half, dtype=tf.int64)

    def siblings(epoch, steps):
        round_, turn = steps // turns, steps % turns
        part = permuted(turn, turns, make_key(seed, 50, epoch, round_))
        parent = tf.gather(parent_of, part)
        size = tf.gather(family.sizes, parent)[:, None]
        place = (tf.gather(part_of, part)[:, None] * half + slots) % size
        key = make_key(seed, 51, epoch, round_, parent)[:, None]
        place = permuted(place, size, key)
        classes = tf.gather(family.members, tf.gather(family.starts, parent)[:, None] + place)
        return classes, tf.zeros_like(classes) + round_[:, None], slots < size

    def sample(epoch, steps):
        near, near_visits, there = siblings(epoch, steps)  # (M, half)
        far, far_visits = others(epoch, steps)  # (M, P)
        taken = tf.reduce_any((far[:, :, None] == near[:, None]) & there[:, None], axis=2)
        rank = tf.concat([tf.where(there, 0, 2), tf.where(taken, 2, 1)], axis=1)
        best = tf.argsort(rank, axis=1, stable=True)[:, :per_batch]
        chosen = tf.gather(tf.concat([near, far], axis=1), best, batch_dims=1)
        visits = tf.concat([2 * near_visits, 2 * far_visits + 1], axis=1)
        return chosen, tf.gather(visits, best, batch_dims=1)

    return sample
