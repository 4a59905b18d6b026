"""P×K batches from a dataset whose length and classes nobody knows."""

import warnings

import tensorflow as tf

from keras_metric import checks
from keras_metric.data.pipeline import sharding
from keras_metric.data.randomness import below, own_seed
from keras_metric.data.readable import named_errors, plain
from keras_metric.data.report import Report

_OWNER = "from_stream"
_NO_CLASS = -1
_PATIENCE = 100  # helpings for each place of the open batches that may be dropped before giving up


def from_stream(
    dataset,
    classes_per_batch=16,
    examples_per_class=4,
    steps_per_epoch=None,
    seed=None,
    map_fn=None,
    start_step=0,
    shard=None,
    reservoir=None,
    on_error="raise",
):
    """P×K batches of a stream of single examples, of any length and in any order.

    Examples wait in a reservoir of their class. A full reservoir is shuffled and dealt out in helpings of K, and a
    helping goes to the oldest unfinished batch that has nothing of its class yet. So every example is used at most
    once, a batch has P different classes, and what is held is bounded: `reservoir` examples of a class and a few
    unfinished batches. Classes far more frequent than the others lose what finds no place in these. When the source
    ends, what is left of the reservoirs is dealt out and the rest, too little for a batch, is dropped.

    Elements should be light (paths, encoded files): `map_fn` loads them after they were chosen.

    Args:
        dataset: `tf.data.Dataset` of single `(x, y)`, y an integer, or a text, which becomes a 62-bit hash (on
            the JAX backend Keras cuts ids to 32 bits: map texts to small integers there).
        classes_per_batch, examples_per_class: P and K.
        steps_per_epoch: None: as many as the source gives, which varies a little with its order; Keras warns if a later
            epoch has fewer. So, to `fit` for several epochs, `repeat()` the source and say how many. At most.
        seed: of the shuffling of reservoirs; None draws one. With the same source it gives the same batches.
        map_fn: TensorFlow function of one x, run in parallel after the choice.
        start_step: batches to pass over; the source is read all the same.
        shard: `(index, count)`: of every `count` batches the one at `index`. All workers read the whole source; where
            it is a set of files, sharding those instead costs less.
        reservoir: examples of a class that are held for shuffling, a multiple of K; None: 4·K. More mixes better.
        on_error: "skip" passes over examples at which `map_fn` fails and those with NaN: one warning says so at the
            first, and the attribute `report` lists them as they come. `map_fn` then runs before the choice, so that the
            reservoirs hold what it gives. "raise" stops at the first.

    Returns:
        `tf.data.Dataset` of `(x (P·K, …), y (P·K,))` that ends with its source.

    Raises:
        ValueError: for elements other than single `(x, y)`.
        tf.errors.InvalidArgumentError: while reading, where a long stretch of the source has fewer than P classes or
            all of it is too little for one batch, for NaN in x, and for what `map_fn` cannot read, by name.
    """
    per_batch = checks.whole(classes_per_batch, "classes_per_batch", _OWNER)
    examples = checks.whole(examples_per_class, "examples_per_class", _OWNER)
    start_step = checks.whole(start_step, "start_step", _OWNER, at_least=0)
    held = checks.whole(reservoir or 4 * examples, "reservoir", _OWNER, at_least=examples)
    helpings = -(-held // examples)
    index, count = sharding(shard, _OWNER)
    seed = own_seed(seed, _OWNER)
    _check_elements(dataset)
    endless = dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    skipped = []
    if checks.choice(on_error, "on_error", _OWNER, ("raise", "skip")) == "skip":
        dataset, map_fn = _readable(dataset, map_fn, skipped), None

    size = helpings * examples
    data = _numbered(dataset).group_by_window(
        key_func=lambda epoch, n, x, y: y,
        reduce_func=lambda key, window: window.batch(size),
        window_size=size,
    )
    data = data.map(lambda *held: _dealt(*held, examples, seed), tf.data.AUTOTUNE).unbatch()
    data = _in_batches(data, per_batch, 2 * helpings + 2).skip(start_step).shard(count, index)
    data = data.map(lambda x, y: _finite(*_flat(x, y, per_batch, examples)))
    if map_fn is not None:
        width = per_batch * examples

        def load(element):
            return map_fn(element[0])

        def chosen(loaded, batch):
            return loaded, batch[1]

        data = named_errors(data, width, load, _name, _OWNER).map(chosen)
    if steps_per_epoch is not None:
        steps = checks.whole(steps_per_epoch, "steps_per_epoch", _OWNER, at_least=count) // count
        data = data.take(steps)
        if endless:
            data = data.apply(tf.data.experimental.assert_cardinality(steps))
    options = tf.data.Options()
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    data = data.with_options(options).prefetch(tf.data.AUTOTUNE)
    data.report = Report({}, {}, skipped)
    return data


def _check_elements(dataset):
    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(
            f"`dataset` of {_OWNER} must be a tf.data.Dataset of (x, y). Received: {type(dataset).__name__}."
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2 or not isinstance(spec[1], tf.TensorSpec):
        raise ValueError(f"`dataset` of {_OWNER} must give (x, y). Received: elements {spec}.")
    if spec[1].shape.rank != 0:
        raise ValueError(
            f"`dataset` of {_OWNER} must give single examples with one label. Received: labels of shape "
            f"{spec[1].shape}. If these are batches, use dataset.unbatch()."
        )
    if not (spec[1].dtype.is_integer or spec[1].dtype == tf.string):
        raise ValueError(
            f"`dataset` of {_OWNER} must have integers or texts as labels. Received: {spec[1].dtype.name}."
        )


def _finite(x, y):
    """The rows of `(x, number)` without the numbers; an error that gives one if there is NaN in x.

    Whole batches are checked, since the same for each example would cost as much as all the rest.
    """
    x, numbers = x
    parts = [part for part in tf.nest.flatten(x) if tf.is_tensor(part) and part.dtype.is_floating]
    if not parts:
        return x, y
    good = [
        tf.reduce_all(tf.math.is_finite(tf.reshape(part, (tf.size(numbers), -1))), axis=1)
        for part in parts
    ]
    bad = tf.boolean_mask(numbers, ~tf.reduce_all(good, axis=0))
    text = f"`x` of {_OWNER} must be finite. Received: NaN or infinity in these elements of the source, counted from 0:"
    with tf.control_dependencies([tf.debugging.Assert(tf.size(bad) == 0, [text, bad])]):
        return tf.nest.map_structure(tf.identity, x), y


def _readable(dataset, map_fn, skipped):
    """Elements `(map_fn(x), y)` where that works and is finite; the names and reasons of the others go to `skipped`.

    TensorFlow can drop what fails, but not say what it was: hence a little Python around each element.
    """
    spec = dataset.element_spec[0]
    load = tf.function(map_fn or (lambda x: x)).get_concrete_function(spec)
    outputs = tf.nest.flatten(load.structured_outputs)
    known = set()

    def attempt(number, *flat):
        x = tf.nest.pack_sequence_as(spec, flat)
        try:
            parts = tf.nest.flatten(load(x))
            why = None if all(map(_is_finite, parts)) else "NaN or infinity"
        except tf.errors.OpError as error:
            why = plain(error)
        if why is None:
            return [True, *parts]
        name = _name((x,), f"element {int(number)}")
        if not known:
            warnings.warn(
                f"{_OWNER} skips {name} ({why}) and lists more like it in `report`.", stacklevel=2
            )
        if name not in known:  # a source that repeats brings it every time
            known.add(name)
            skipped.append((name, why))
        return [False, *map(_empty, outputs)]

    def tried(number, element):
        given = [number, *tf.nest.flatten(element[0])]
        good, *parts = tf.py_function(attempt, given, [tf.bool, *(part.dtype for part in outputs)])
        parts = [tf.ensure_shape(part, one.shape) for part, one in zip(parts, outputs, strict=True)]
        x = tf.nest.pack_sequence_as(load.structured_outputs, parts)
        return tf.ensure_shape(good, ()), (x, element[1])

    data = dataset.enumerate().map(tried, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.filter(lambda good, element: good).map(lambda good, element: element)


def _empty(spec):
    """Zeros or empty texts of a specification; what may be of any length has none."""
    return tf.zeros([n or 0 for n in spec.shape], spec.dtype)


def _is_finite(part):
    return not part.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(part)))


def _numbered(dataset):
    """Elements `(epoch, number, x, id)`: what the shuffling depends on goes along with the example."""
    with tf.init_scope(), tf.device("/CPU:0"):
        epochs = tf.Variable(-1, dtype=tf.int64, trainable=False, name="epoch")

    @tf.autograph.experimental.do_not_convert
    def next_epoch(_):
        return epochs.assign_add(1)

    def as_id(y):
        if y.dtype == tf.string:
            return tf.strings.to_hash_bucket_fast(y, 2**62)
        return tf.cast(y, tf.int64)

    def one_epoch(epoch):
        return dataset.enumerate().map(lambda n, element: (epoch, n, element[0], as_id(element[1])))

    return tf.data.Dataset.range(1).map(next_epoch).flat_map(one_epoch)


def _dealt(epoch, n, x, y, examples, seed):
    """The examples of a reservoir (M, …) in random order, as helpings (M // K, K, …) of `((x, number), y)`."""
    count = tf.size(n, tf.int64)
    order = tf.argsort(below(2**32 - 1, seed, 60, epoch[0], n[0], tf.range(count)), stable=True)
    order = tf.reshape(order[: count // examples * examples], (-1, examples))
    return tf.nest.map_structure(lambda a: tf.gather(a, order), ((x, n), y))


def _in_batches(helpings, per_batch, open_batches):
    """Puts helpings together to batches of different classes."""
    patience = _PATIENCE * open_batches * per_batch
    newest = tf.constant(open_batches, tf.int64)
    numbers = tf.range(open_batches, dtype=tf.int64)
    members = tf.fill((open_batches, per_batch), tf.constant(_NO_CLASS, tf.int64))
    counts = tf.zeros((open_batches,), tf.int64)
    state = (newest, numbers, members, counts, tf.constant(0, tf.int64))
    examples = helpings.element_spec[1].shape[0]

    def place(state, x, y, ended):
        newest, numbers, members, counts, misses = state
        some = tf.debugging.Assert(
            ~ended | (newest > open_batches),
            [
                f"from_stream could put no batch of {per_batch} classes with {examples} examples each together before "
                "its source ended. Take fewer `classes_per_batch` or `examples_per_class`, or repeat() the source."
            ],
        )
        slots = tf.range(per_batch, dtype=tf.int64)
        there = tf.reduce_any((members == y[0]) & (slots < counts[:, None]), axis=1)
        fits = tf.reduce_any(~there) & ~ended
        best = tf.argmin(tf.where(there, tf.constant(2**62, tf.int64), numbers))
        number = tf.where(fits, numbers[best], -1)
        here = (tf.range(open_batches, dtype=tf.int64) == best) & fits
        members = tf.where(here[:, None] & (slots == counts[:, None]), y[0], members)
        counts += tf.cast(here, tf.int64)
        full = counts == per_batch
        done = tf.reduce_any(full)
        numbers = tf.where(full, newest, numbers)
        counts = tf.where(full, tf.zeros_like(counts), counts)
        misses = tf.where(done, tf.zeros_like(misses), misses + tf.cast(~fits & ~ended, tf.int64))
        enough = tf.debugging.Assert(
            misses < patience,
            [
                f"from_stream could put no batch of {per_batch} classes together out of the last {patience} helpings "
                "of the source: it holds fewer classes, or only a few with enough examples."
            ],
        )
        with tf.control_dependencies([enough, some]):
            number = tf.identity(number)
        return (newest + tf.cast(done, tf.int64), numbers, members, counts, misses), (number, x, y)

    placed = _with_end(helpings).scan(state, lambda state, helping: place(state, *helping))
    placed = placed.filter(lambda number, x, y: number >= 0)
    return placed.group_by_window(
        key_func=lambda number, x, y: number,
        reduce_func=lambda key, window: window.map(lambda number, x, y: (x, y)).batch(
            per_batch, drop_remainder=True
        ),
        window_size=per_batch,
    )


def _with_end(helpings):
    """Elements `(x, y, False)`, and an empty one with True when the source has ended."""

    def nothing(_):
        return (*tf.nest.map_structure(_empty, helpings.element_spec), True)

    end = tf.data.Dataset.range(1).map(nothing)
    return helpings.map(lambda x, y: (x, y, False)).concatenate(end)


def _flat(x, y, per_batch, examples):
    """Rows of (P, K, …) one below the other."""

    def one(a):
        shape = [per_batch * examples, *a.shape[2:]]
        rows = tf.reshape(a, tf.concat([[per_batch * examples], tf.shape(a)[2:]], axis=0))
        return tf.ensure_shape(rows, shape)

    return tf.nest.map_structure(one, x), one(y)


def _name(element, otherwise="an example of the stream"):
    """What messages call an element."""
    x = element[0]
    if tf.is_tensor(x) and x.dtype == tf.string and x.shape.rank == 0 and len(x.numpy()) < 500:
        return x.numpy().decode(errors="replace")
    return otherwise
