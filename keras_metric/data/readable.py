"""What to do about rows that cannot be read: name them, or find and skip them."""

import numpy as np
import tensorflow as tf

from keras_metric.data.rows import gather


def loader(x, map_fn):
    """Function of a row number that gives what `map_fn` makes of the row."""

    def load(row):
        return map_fn(gather(x, row))

    return load


def namer(x):
    """Function of a row number that says what messages call it: the file, if rows are single texts."""
    texts = tf.is_tensor(x) and x.dtype == tf.string and x.shape.rank == 1

    def name(row):
        row = int(row)
        return f"{x[row].numpy().decode(errors='replace')} in row {row}" if texts else f"row {row}"

    return name


def unreadable(x, map_fn, count):
    """`(row, reason)` of every row at which `map_fn` fails. Reads everything once, in parallel."""
    load = loader(x, map_fn)

    def row_and_heads(row):
        return row, _heads(load(row))

    def row_alone(row, _):
        return row

    read = tf.data.Dataset.range(count).map(row_and_heads, num_parallel_calls=tf.data.AUTOTUNE)
    good = list(read.ignore_errors().map(row_alone).batch(4096).as_numpy_iterator())
    bad = np.setdiff1d(np.arange(count), np.concatenate(good) if good else [])
    return [(int(row), reason(load, row) or "fails now and then") for row in bad]


def _heads(loaded):
    """Something small that cannot be had without loading everything, as sizes and shapes can."""
    return [tf.reshape(part, (-1,))[:1] for part in tf.nest.flatten(loaded, expand_composites=True)]


def reason(load, element):
    """Why `load` fails at an element, in one line; None if it does not."""
    try:
        load(element)
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


def named_errors(batches, width, load, name, owner):
    """Loads the elements of batches in parallel and batches them again; a failure is told with name and reason.

    An element at which `load` fails is dropped first, and found missing when its batch is put together: TensorFlow's
    own message would say what is wrong with a file, but not with which.

    Args:
        batches: dataset of nested tensors (width, …), such as row numbers.
        width: elements a batch.
        load: function of one element.
        name: function of one element that says what messages call it.
        owner: name of the public function.

    Returns:
        Dataset of `(loaded, batch)`.
    """

    def moved(batch, by):
        return tf.nest.map_structure(lambda a: tf.roll(a, by, axis=0), batch)

    def numbered(number, batch):
        slots = number * width + tf.range(width, dtype=tf.int64)
        return slots, batch, moved(batch, -1), moved(batch, 1)

    def explain(*flat):
        element = tf.nest.pack_sequence_as(one, flat)
        why = reason(load, element) or "it failed once and could be read on a second try"
        return f"{owner} cannot read {name(element)}: {why}"

    def whole(number, part):
        slots, batch, after, before, loaded = part
        start = number * width
        right = slots == start + tf.range(tf.size(slots, tf.int64))
        complete = tf.reduce_all(right) & (tf.size(slots) == width)

        def fail():
            first = tf.reduce_sum(tf.math.cumprod(tf.cast(right, tf.int32)))
            place = tf.maximum(first - 1, 0)
            flat = zip(tf.nest.flatten(after), tf.nest.flatten(before), strict=True)
            lost = [tf.where(first > 0, a[place], b[0]) for a, b in flat]

            def one_lost():
                return tf.py_function(explain, lost, tf.string)

            def all_lost():
                return tf.constant(f"{owner} cannot read anything of a batch")

            text = tf.cond(slots[0] < start + width, one_lost, all_lost)
            with tf.control_dependencies([tf.debugging.Assert(False, [text])]):
                return tf.constant(False)

        with tf.control_dependencies([tf.cond(complete, lambda: True, fail)]):
            return tf.nest.map_structure(
                lambda a: tf.ensure_shape(tf.identity(a), (width, *a.shape[1:])), (loaded, batch)
            )

    def loaded(slot, element, after, before):
        return slot, element, after, before, load(element)

    one = tf.nest.map_structure(lambda spec: 0, batches.element_spec)
    data = batches.enumerate().map(numbered).unbatch()
    data = data.map(loaded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.ignore_errors().batch(width).enumerate().map(whole)


def try_one(load, element, name, owner):
    """Runs `load` once, so that one that never works says so at once and by name."""
    try:
        next(iter(tf.data.Dataset.from_tensors(element).map(load)))
    except tf.errors.OpError as error:
        why = reason(load, element) or plain(error)
        raise ValueError(f"{owner} cannot read {name(element)}: {why}") from error
