"""What to do about rows that cannot be read: name them, or find and skip them."""

import contextlib

import numpy as np
import tensorflow as tf

from keras_metric.data.rows import gather


def unreadable(x, map_fn, count):
    """`(row, reason)` of every row at which `map_fn` fails. Reads everything once, in parallel."""
    rows = tf.data.Dataset.range(count)
    read = rows.map(
        lambda row: _after(row, map_fn(gather(x, row))), num_parallel_calls=tf.data.AUTOTUNE
    )
    good = list(read.ignore_errors().batch(4096).as_numpy_iterator())
    bad = np.setdiff1d(np.arange(count), np.concatenate(good) if good else [])
    return [(int(row), reason(x, map_fn, row) or "fails now and then") for row in bad]


def _after(row, loaded):
    """The row, once everything loaded is there."""
    with tf.control_dependencies(tf.nest.flatten(loaded)):
        return tf.identity(row)


def reason(x, map_fn, row):
    """Why `map_fn` fails at a row, in one line; None if it does not."""
    try:
        map_fn(gather(x, row))
    except Exception as error:  # whatever a user's function raises
        return plain(error)
    return None


def plain(error):
    """What an exception of TensorFlow says, without the names of its operations."""
    text = str(getattr(error, "message", None) or error).split(" [Op:")[0].split("\n")[0]
    text = text.removeprefix("{{function_node __wrapped__")
    if "}} " in text[:200] and "_device_" in text[:200]:
        text = text.split("}} ", 1)[1]
    return " ".join(text.split()) or type(error).__name__


def name_of(x, row):
    """How messages call a row: the file, if rows are single texts, with its number."""
    if tf.is_tensor(x) and x.dtype == tf.string and x.shape.rank == 1:
        return f"{x[int(row)].numpy().decode(errors='replace')} (row {int(row)})"
    return f"row {int(row)}"


def named_errors(rows, width, x, map_fn, owner):
    """Loads rows in parallel and batches them; a failure stops with the name of the row and the reason.

    A row at which `map_fn` fails is dropped first, and found missing when its batch is put together: TensorFlow's own
    message would say what was wrong with a file, but not with which.

    Args:
        rows: dataset of row numbers (width,).
    """

    def numbered(batch):
        slots = tf.range(width, dtype=tf.int64)
        return slots, batch, tf.roll(batch, -1, axis=0), tf.roll(batch, 1, axis=0)

    def load(slot, row, after, before):
        return slot, row, after, before, map_fn(gather(x, row))

    def explain(row):
        with contextlib.suppress(Exception):
            row = int(row)
        why = reason(x, map_fn, row) or "it failed once and could be read on a second try"
        return f"{owner} cannot read {name_of(x, row)}: {why}"

    def whole(slots, batch, after, before, loaded):
        count = tf.size(slots)
        right = slots == tf.range(width, dtype=tf.int64)[:count]
        complete = tf.reduce_all(right) & (count == width)

        def fail():
            first = tf.reduce_sum(tf.cast(tf.math.cumprod(tf.cast(right, tf.int32)), tf.int32))
            lost = tf.where(first > 0, after[tf.maximum(first - 1, 0)], before[0])
            text = tf.py_function(lambda row: explain(row), [lost], tf.string)
            with tf.control_dependencies([tf.debugging.Assert(False, [text])]):
                return tf.constant(False)

        with tf.control_dependencies([tf.cond(complete, lambda: True, fail)]):
            loaded = tf.nest.map_structure(
                lambda a: tf.ensure_shape(tf.identity(a), (width, *a.shape[1:])), loaded
            )
        return loaded, tf.ensure_shape(batch, (width,))

    data = rows.map(numbered).unbatch()
    data = data.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.ignore_errors().batch(width).map(whole)
