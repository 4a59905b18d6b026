"""From a sampler, a pure function (epoch, steps) → rows, to a tf.data.Dataset of batches."""

import tensorflow as tf

from keras_metric import checks
from keras_metric.data.readable import loader, named_errors, namer
from keras_metric.data.rows import gather

_BLOCK_VALUES = (
    1 << 15
)  # row numbers computed together: many steps share the cost of starting each operation


def batches(sampler, width, x, finish, steps, owner, map_fn=None, start_step=0, shard=None):
    """The dataset of `finish(inputs, rows)` over the steps of an epoch, in another order each epoch.

    Args:
        sampler: `(epoch, steps (M,)) → rows (M, width)`, int64 tensors.
        width: rows a batch.
        x: tensors of `rows.as_rows`.
        finish: `(inputs of the rows, rows) → element` for one batch.
        steps: steps an epoch, of all workers together.
        owner: name of the public function, for messages.
        map_fn: function of one element of x, run in parallel; None: rows are used as they are. Where it fails, the
            message names the row.
        start_step: first step; the dataset then gives the batches of an uninterrupted run from there on.
        shard: `(index, count)`: of every `count` steps the one at `index`; None: all.
    """
    start_step = checks.whole(start_step, "start_step", owner, at_least=0)
    index, count = sharding(shard, owner)
    if steps < count:
        checks.fail("shard", owner, f"have at most {steps} workers, one a step", shard)
    steps //= count
    rows = _row_batches(sampler, width, steps, start_step, index, count)
    if map_fn is None:
        data = rows.map(
            lambda r: finish(gather(x, r), r),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    else:
        data = named_errors(rows, width, loader(x, map_fn), namer(x), owner).map(finish)
    data = data.apply(tf.data.experimental.assert_cardinality(steps))
    options = tf.data.Options()
    # The only outside state is the number of the epoch, which the iterator's checkpoint holds by value.
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    return data.with_options(options).prefetch(tf.data.AUTOTUNE)


def sharding(shard, owner):
    """`(index, count)` of a worker; (0, 1) for None."""
    if shard is None:
        return 0, 1
    try:
        index, count = map(int, shard)
    except (TypeError, ValueError):
        index, count = -1, 0
    if not 0 <= index < count:
        checks.fail("shard", owner, "be (index, count) with 0 <= index < count", shard)
    return index, count


def _row_batches(sampler, width, steps, start_step, index, count):
    block = max(1, min(steps, _BLOCK_VALUES // width))
    first_epoch, offset = divmod(start_step, steps)
    with tf.init_scope(), tf.device("/CPU:0"):
        epoch = tf.Variable(first_epoch - 1, dtype=tf.int64, trainable=False, name="epoch")

    @tf.autograph.experimental.do_not_convert
    def next_epoch(_):
        return epoch.assign_add(1)

    def pieces(e, start, stop):
        starts = tf.data.Dataset.range(start, stop, block)
        return starts.map(lambda b: (e, b, tf.minimum(b + block, stop)))

    def blocks(e):
        whole = pieces(e, offset, steps)
        return whole.concatenate(pieces(e + 1, 0, offset)) if offset else whole

    @tf.autograph.experimental.do_not_convert
    def rows(e, start, stop):
        drawn = sampler(e, tf.range(start, stop, dtype=tf.int64) * count + index)
        return tf.ensure_shape(drawn, (None, width))

    data = tf.data.Dataset.range(1).map(next_epoch).flat_map(blocks)
    return data.map(rows, num_parallel_calls=2, deterministic=True).unbatch()
