"""P×K batches: P classes with K examples each."""

import warnings

import numpy as np
import tensorflow as tf

from keras_metric import checks
from keras_metric.data.class_order import class_order
from keras_metric.data.parent_order import parent_order
from keras_metric.data.pipeline import batches
from keras_metric.data.prepared import prepare
from keras_metric.data.randomness import make_key, own_seed, permuted
from keras_metric.data.weighted_order import weighted_order

_OWNER = "pk_batches"
_TRIES = 32  # for rows with several labels


def pk_batches(
    x,
    y,
    classes_per_batch=16,
    examples_per_class=4,
    steps_per_epoch=None,
    seed=None,
    map_fn=None,
    start_step=0,
    shard=None,
    group=None,
    hierarchy=None,
    class_weights=None,
    min_examples_per_class=1,
    on_error="raise",
):
    """Batches of P classes with K distinct examples each, for every loss between the embeddings of a batch.

    No class returns before every class was there, so within an epoch the counts of classes differ by at most 1 at
    every batch; a class returns with other examples as long as it has K of them. Each epoch has a new order. What a
    step gives depends on the seed and the number of the step alone.

    Args:
        x: array (N, …), nested dicts or tuples of arrays, or file paths with a `map_fn` that loads them.
        y: N labels: integers (kept as int64) or texts (become 0 … C−1 in sorted order, see `dense_ids`); or, for rows
            with several labels, a matrix of 0 and 1 (N, C), of which the rows (P·K, C) are given back for losses with
            `relation="overlap"` (see `multi_hot`). A row then comes once a batch as long as its classes have others.
        classes_per_batch: P, at most the number C of classes.
        examples_per_class: K. A class with fewer examples repeats them, and one warning says so.
        steps_per_epoch: batches an epoch; None: max(⌈C/P⌉, N // (P·K)).
        seed: whole number ≥ 0; None draws one.
        map_fn: TensorFlow function of one element of x (decoding, augmentation), run in parallel. If it fails, the
            error names the row or file.
        start_step: goes on where a run with this seed stood after so many steps, epochs counted through.
        shard: `(index, count)` gives worker `index` of `count` its own batches; together they are those of one
            worker. Every worker needs the same seed.
        group: N ids (photo session, recording). The K examples of a class are of different groups: groups are uniform,
            then the rows of a group. A class with fewer groups repeats examples.
        hierarchy: parent of each class, as a dict, or of each row (N,). ⌈P/2⌉ classes of a batch are of one parent, or
            all that it has. Classes then come in turn among the classes of their parent and among all the others, but
            not over both together.
        class_weights: how often classes come, as a dict (1 if not named; 0 leaves out) or in sorted order (C,).
            Classes then do not come in turn.
        min_examples_per_class: classes with fewer examples are left out; one warning and the report name them.
        on_error: "skip" leaves out rows with NaN and, with `map_fn`, rows at which it fails, for which everything is
            read once now; one warning and the report list them. "raise" stops at the first.

    Returns:
        `tf.data.Dataset` of `(x (P·K, …), y (P·K,))` with known cardinality and static shapes, examples of a class
        side by side. Its attribute `report` says which classes there are and what was left out.

    Raises:
        ValueError: for different lengths, P > C, NaN in x, labels of mixed types.

    Example:
        train = data.pk_batches(images, labels, classes_per_batch=8, examples_per_class=4, seed=1)
        encoder.fit(train, epochs=10)
    """
    return prepared_pk_batches(
        x, y, _OWNER, classes_per_batch, examples_per_class, steps_per_epoch, seed, map_fn, start_step, shard,
        on_error=on_error, group=group, hierarchy=hierarchy, class_weights=class_weights,
        min_examples_per_class=min_examples_per_class,
    )  # fmt: skip


def prepared_pk_batches(
    x,
    y,
    owner,
    classes_per_batch=16,
    examples_per_class=4,
    steps_per_epoch=None,
    seed=None,
    map_fn=None,
    start_step=0,
    shard=None,
    on_error="raise",
    already_skipped=(),
    **selection,
):
    """`pk_batches` for every function that ends in it, under its own name; see there."""
    per_batch = checks.whole(classes_per_batch, "classes_per_batch", owner)
    examples = checks.whole(examples_per_class, "examples_per_class", owner)
    x, chosen = prepare(
        x, y, owner, map_fn, on_error, several=True, already_skipped=already_skipped, **selection
    )
    return batches_of(
        x, chosen, per_batch, examples, steps_per_epoch, seed, owner,
        map_fn=map_fn, start_step=start_step, shard=shard,
    )  # fmt: skip


def batches_of(x, chosen, per_batch, examples, steps_per_epoch, seed, owner, **pipeline):
    """P×K batches of prepared inputs and a `Selection`."""
    table = chosen.table
    classes = len(table.sizes)
    if per_batch > classes:
        checks.fail(
            "classes_per_batch", owner, f"be at most the number of classes, {classes}", per_batch
        )
    counts, what = (
        (table.sizes, "examples") if chosen.units is None else (chosen.units.counts, "groups")
    )
    small = int((counts < examples).sum())
    if small:
        warnings.warn(
            f"{small} of {classes} classes have fewer than examples_per_class={examples} {what} "
            f"(the smallest has {counts.min()}): theirs are repeated within a batch.",
            stacklevel=3,
        )
    width = per_batch * examples
    if steps_per_epoch is None:
        steps_per_epoch = max(-(-classes // per_batch), len(table.order) // width)
    steps = checks.whole(steps_per_epoch, "steps_per_epoch", owner)
    with tf.device("/CPU:0"):
        ids = tf.constant(table.ids)
        sampler = pk_sampler(chosen, per_batch, examples, own_seed(seed, owner), owner)

    def finish(inputs, rows):
        return inputs, tf.gather(ids, rows)

    dataset = batches(sampler, width, x, finish, steps, owner, **pipeline)
    dataset.report = chosen.report
    return dataset


def _class_sampler(chosen, per_batch, seed, owner):
    if chosen.weights is not None:
        return weighted_order(chosen.weights, per_batch, seed)
    if chosen.parents is not None:
        return parent_order(chosen.parents, per_batch, seed, owner)
    return class_order(len(chosen.table.sizes), per_batch, seed)


def pk_sampler(chosen, per_batch, examples, seed, owner):
    """The pure function `(epoch, steps (M,)) → rows (M, P·K)`."""
    table, units = chosen.table, chosen.units
    starts, sizes = (table.starts, table.sizes) if units is None else (units.first, units.counts)
    order, starts, sizes = map(tf.constant, (table.order, starts, sizes))
    choose = _class_sampler(chosen, per_batch, seed, owner)
    places = tf.range(examples, dtype=tf.int64)

    def sample(epoch, steps):
        chosen, visits = choose(epoch, steps)
        chosen, visits = chosen[..., None], visits[..., None]  # (M, P, 1)
        size = tf.gather(sizes, chosen)
        # A class is shuffled, handed out K by K, and shuffled anew when fewer than K are left.
        helpings = tf.maximum(size // examples, 1)
        turn = visits // helpings
        key = make_key(seed, 2, epoch, chosen, turn)

        def rows_at(place):  # (M, P, K)
            unit = tf.gather(starts, chosen) + permuted(place % size, size, key)
            position = unit if units is None else in_unit(epoch, unit, turn)
            return tf.reshape(tf.gather(order, position), (-1, per_batch * examples))

        place = visits % helpings * examples + places
        rows = rows_at(place)
        if table.ids.ndim > 1:
            rows = _without_repeats(rows, place, rows_at, examples)
        return rows

    if units is not None:
        in_unit = row_of_unit(units, seed)
    return sample


def row_of_unit(units, seed):
    """Function `(epoch, units, turns) → positions`: the rows of a group, in another order each time it is through."""
    starts, sizes = tf.constant(units.starts), tf.constant(units.sizes)

    def position(epoch, unit, turn):
        size = tf.gather(sizes, unit)
        key = make_key(seed, 4, epoch, unit, turn // size)
        return tf.gather(starts, unit) + permuted(turn % size, size, key)

    return position


def _without_repeats(rows, place, rows_at, examples):
    """Takes the next rows of a class where a row is in the batch already, through another of its labels."""
    width = rows.shape[1]
    earlier = tf.constant(np.tri(width, k=-1, dtype=bool))

    def repeated(rows):
        return tf.reduce_any((rows[:, :, None] == rows[:, None]) & earlier, axis=2)  # (M, P·K)

    def again(i, rows, place):
        here = tf.reshape(repeated(rows), tf.shape(place))
        place = tf.where(here, place + examples, place)
        return i + 1, rows_at(place), place

    def wanted(i, rows, place):
        return (i < _TRIES) & tf.reduce_any(repeated(rows))

    return tf.while_loop(wanted, again, (tf.constant(0), rows, place))[1]
