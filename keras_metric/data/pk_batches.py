"""P×K batches: P classes with K examples each."""

import warnings

import tensorflow as tf

from keras_metric import checks
from keras_metric.data.class_order import class_order
from keras_metric.data.labels import class_table
from keras_metric.data.pipeline import batches
from keras_metric.data.randomness import make_key, own_seed, permuted
from keras_metric.data.rows import as_rows

_OWNER = "pk_batches"


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
):
    """Batches of P classes with K distinct examples each, for every loss between the embeddings of a batch.

    No class returns before every class was there, so within an epoch the counts of classes differ by at most 1 at
    every batch; a class returns with other examples as long as it has any. Each epoch has a new order. What a step
    gives depends on the seed and the number of the step alone.

    Args:
        x: array (N, …), nested dicts or tuples of arrays, or file paths with a `map_fn` that loads them.
        y: N labels: integers (kept as int64) or texts (become 0 … C−1 in sorted order, see `dense_ids`).
        classes_per_batch: P, at most the number C of classes.
        examples_per_class: K. A class with fewer examples repeats them, and one warning says so.
        steps_per_epoch: batches an epoch; None: max(⌈C/P⌉, N // (P·K)).
        seed: whole number ≥ 0; None draws one.
        map_fn: TensorFlow function of one element of x (decoding, augmentation), run in parallel.
        start_step: goes on where a run with this seed stood after so many steps, epochs counted through.
        shard: `(index, count)` gives worker `index` of `count` its own batches; together they are those of one
            worker. Every worker needs the same seed.

    Returns:
        `tf.data.Dataset` of `(x (P·K, …), y (P·K,))` with known cardinality and static shapes, examples of a class
        side by side.

    Raises:
        ValueError: for different lengths, P > C, NaN in x, labels of mixed types.

    Example:
        train = data.pk_batches(images, labels, classes_per_batch=8, examples_per_class=4, seed=1)
        encoder.fit(train, epochs=10)
    """
    per_batch = checks.whole(classes_per_batch, "classes_per_batch", _OWNER)
    examples = checks.whole(examples_per_class, "examples_per_class", _OWNER)
    table = class_table(y, _OWNER)
    x = as_rows(x, len(table.ids), _OWNER)
    classes = len(table.sizes)
    if per_batch > classes:
        checks.fail(
            "classes_per_batch", _OWNER, f"be at most the number of classes, {classes}", per_batch
        )
    small = int((table.sizes < examples).sum())
    if small:
        warnings.warn(
            f"{small} of {classes} classes have fewer than examples_per_class={examples} examples "
            f"(the smallest has {table.sizes.min()}): theirs are repeated within a batch.",
            stacklevel=2,
        )
    width = per_batch * examples
    if steps_per_epoch is None:
        steps_per_epoch = max(-(-classes // per_batch), len(table.ids) // width)
    steps = checks.whole(steps_per_epoch, "steps_per_epoch", _OWNER)
    with tf.device("/CPU:0"):
        ids = tf.constant(table.ids)
        sampler = pk_sampler(table, per_batch, examples, own_seed(seed, _OWNER))

    def finish(inputs, rows):
        return inputs, tf.gather(ids, rows)

    return batches(
        sampler, width, x, finish, steps, _OWNER,
        map_fn=map_fn, start_step=start_step, shard=shard,
    )  # fmt: skip


def pk_sampler(table, per_batch, examples, seed):
    """The pure function `(epoch, steps (M,)) → rows (M, P·K)`."""
    order, starts, sizes = map(tf.constant, (table.order, table.starts, table.sizes))
    choose = class_order(len(table.sizes), per_batch, seed)
    places = tf.range(examples, dtype=tf.int64)

    def sample(epoch, steps):
        chosen, visits = choose(epoch, steps)
        chosen, visits = chosen[..., None], visits[..., None]  # (M, P, 1)
        size = tf.gather(sizes, chosen)
        # A class is shuffled, handed out K by K, and shuffled anew when fewer than K are left.
        helpings = tf.maximum(size // examples, 1)
        place = (visits % helpings * examples + places) % size  # (M, P, K)
        key = make_key(seed, 2, epoch, chosen, visits // helpings)
        rows = tf.gather(order, tf.gather(starts, chosen) + permuted(place, size, key))
        return tf.reshape(rows, (-1, per_batch * examples))

    return sample
