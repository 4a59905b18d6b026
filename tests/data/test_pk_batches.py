import warnings
from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_metric import data
from tests.data.support import chi_square_p, drained, rows_of


def labels(classes, examples, shift=0):
    return np.random.default_rng(4).permutation(np.repeat(np.arange(classes) + shift, examples))


@pytest.mark.parametrize(
    "classes, per_batch, examples",
    [(7, 3, 2), (10, 4, 3), (10, 10, 2), (17, 16, 4), (33, 16, 3), (100, 7, 3), (1, 1, 3)],
)
def test_every_promise_about_a_batch(classes, per_batch, examples):
    y = labels(classes, 5, shift=2**60)
    dataset = data.pk_batches(np.arange(len(y)), y, per_batch, examples, 3 * classes + 1, seed=3)
    counts = dict.fromkeys(y.tolist(), 0)
    for rows, ids in drained(dataset):
        assert rows.shape == ids.shape == (per_batch * examples,)
        assert ids.dtype == "int64" and (y[rows] == ids).all()
        assert len(set(rows)) == len(rows)
        held = Counter(ids.tolist())
        assert len(held) == per_batch and set(held.values()) == {examples}
        for key in held:
            counts[key] += 1
        assert max(counts.values()) - min(counts.values()) <= 1


def test_epochs_differ_and_repeat_with_the_seed():
    y = labels(12, 6)
    x = np.arange(len(y))

    def epochs(seed):
        dataset = data.pk_batches(x, y, 5, 2, seed=seed)
        return np.stack([rows_of(dataset) for _ in range(3)])

    tf.random.set_seed(1)
    first = epochs(8)
    tf.random.set_seed(2)
    np.testing.assert_array_equal(epochs(8), first)
    assert not (first[0] == first[1]).all() and not (first[1] == first[2]).all()
    assert not (epochs(9) == first).all()


def test_start_step_goes_on_where_a_run_stood():
    y = labels(11, 4)
    x = np.arange(len(y))
    dataset = data.pk_batches(x, y, 4, 2, steps_per_epoch=7, seed=5)
    whole = np.concatenate([rows_of(dataset) for _ in range(3)])
    resumed = data.pk_batches(x, y, 4, 2, steps_per_epoch=7, seed=5, start_step=10)
    np.testing.assert_array_equal(rows_of(resumed), whole[10:17])


def test_a_checkpointed_iterator_goes_on_exactly(tmp_path):
    y = labels(11, 4)

    def make():
        return iter(data.pk_batches(np.arange(len(y)), y, 4, 2, steps_per_epoch=9, seed=5))

    iterator = make()
    for _ in range(3):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / "state"))
    rest = [x.numpy() for x, _ in iterator]
    again = make()
    tf.train.Checkpoint(iterator=again).read(path)
    np.testing.assert_array_equal([x.numpy() for x, _ in again], rest)
    assert len(rest) == 6


def test_shards_are_one_run_without_overlap():
    y = labels(30, 4)
    x = np.arange(len(y))
    whole = rows_of(data.pk_batches(x, y, 4, 2, steps_per_epoch=12, seed=5))
    parts = [
        rows_of(data.pk_batches(x, y, 4, 2, steps_per_epoch=12, seed=5, shard=(i, 3)))
        for i in range(3)
    ]
    np.testing.assert_array_equal(np.stack(parts, axis=1).reshape(whole.shape), whole)


@pytest.mark.parametrize("classes, per_batch", [(5, 3), (12, 3)])
def test_classes_meet_and_rows_come_uniformly(classes, per_batch):
    y = np.repeat(np.arange(classes), 5)
    dataset = data.pk_batches(np.arange(len(y)), y, per_batch, 2, steps_per_epoch=2000, seed=11)
    rows = rows_of(dataset).reshape(-1, per_batch, 2)
    meetings = np.zeros((classes, classes))
    for one in range(per_batch):
        for other in range(per_batch):
            np.add.at(meetings, (y[rows[:, one, 0]], y[rows[:, other, 0]]), one != other)
    assert chi_square_p(meetings[np.triu_indices(classes, 1)]) > 0.001
    inside = np.zeros((5, 5))
    np.add.at(inside, (rows[..., 0].ravel() % 5, rows[..., 1].ravel() % 5), 1)
    assert np.trace(inside) == 0
    assert chi_square_p(inside[~np.eye(5, dtype=bool)]) > 0.001


def test_a_class_shows_all_examples_before_one_returns():
    y = np.repeat(np.arange(6), 8)
    rows = rows_of(data.pk_batches(np.arange(48), y, 3, 2, steps_per_epoch=8, seed=2))
    assert sorted(rows.ravel()) == list(range(48))


def test_small_classes_repeat_and_warn_once():
    y = np.array([0, 1, 1, 2, 2, 2, 2, 2])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = data.pk_batches(np.arange(8), y, 3, 4, seed=0)
        batches = drained(dataset)
    assert len([w for w in caught if "2 of 3 classes" in str(w.message)]) == 1
    assert len(caught) == 1
    for rows, ids in batches:
        assert {key: len(set(rows[ids == key])) for key in (0, 1, 2)} == {0: 1, 1: 2, 2: 4}
        assert len(rows) == 12


@pytest.mark.parametrize("n, classes, p, k, steps", [(100, 10, 4, 2, 12), (100, 50, 4, 20, 13)])
def test_default_steps_are_known_and_true(n, classes, p, k, steps):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = data.pk_batches(np.arange(n), np.arange(n) % classes, p, k, seed=1)
    assert int(dataset.cardinality()) == steps == len(drained(dataset))


def test_nested_inputs_keep_rows_together_and_shapes_static():
    y = labels(8, 4)
    x = {"image": np.arange(32.0).reshape(32, 1, 1), "more": (np.arange(32), np.arange(32) * 2)}
    dataset = data.pk_batches(x, y, 4, 2, seed=1)
    shapes = tf.nest.map_structure(lambda s: s.shape.as_list(), dataset.element_spec[0])
    assert shapes == {"image": [8, 1, 1], "more": ([8], [8])}
    for inputs, ids in drained(dataset):
        rows = inputs["more"][0]
        assert (inputs["image"].ravel() == rows).all() and (inputs["more"][1] == 2 * rows).all()
        assert (y[rows] == ids).all()


def test_files_are_loaded_by_map_fn(tmp_path):
    paths = []
    for row in range(12):
        paths.append(tmp_path / f"{row}.txt")
        paths[-1].write_text(str(row))

    def load(path):
        return tf.strings.to_number(tf.io.read_file(path), tf.int64)

    for x in (paths, np.array([str(path) for path in paths])):
        dataset = data.pk_batches(x, np.arange(12) % 3, 2, 2, seed=1, map_fn=load)
        assert dataset.element_spec[0].shape == (4,)
        for rows, ids in drained(dataset):
            assert (rows % 3 == ids).all()


def test_columns_of_python_objects_stay_numbers():
    x = {"number": np.arange(6).astype(object), "many": [np.full((2, 3), row) for row in range(6)]}
    for inputs, ids in drained(data.pk_batches(x, np.arange(6) % 2, 2, 2, seed=1)):
        assert inputs["number"].dtype == "int64" and (inputs["number"] % 2 == ids).all()
        assert (inputs["many"] == inputs["number"][:, None, None]).all()


def test_text_labels_become_dense_ids():
    y = np.array(["cat", "dog", "ant"] * 4)
    for rows, ids in drained(data.pk_batches(np.arange(12), y, 2, 2, seed=1)):
        assert (np.array(["ant", "cat", "dog"])[ids] == y[rows]).all()


def test_fit_takes_it_as_it_is():
    y = labels(10, 6)
    x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(10)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(data.pk_batches(x, y, 4, 2, seed=1), epochs=3, shuffle=False, verbose=0)


@pytest.mark.parametrize(
    "x, y, settings, words",
    [
        (np.zeros((5, 2)), [0, 0, 1, 1], {}, "5 rows .* and y with 4"),
        (np.zeros((4, 2)), [0, 0, 1, 1], {"classes_per_batch": 3}, "number of classes, 2"),
        (
            np.array([[0.0], [np.nan], [1], [np.inf]]),
            [0, 0, 1, 1],
            {},
            r"2 of 4 rows \(rows 1, 3\)",
        ),
        (np.zeros((4, 2)), [0, "a", 1, 1], {}, "0 in row 0 and 'a' in row 1"),
        (np.zeros((4, 2)), [0.5, 1, 1, 1], {}, "0.5 in row 0"),
        (np.zeros((4, 2)), [0, 0, 1, 1], {"shard": (2, 2)}, "index, count"),
        (np.zeros((4, 2)), [0, 0, 1, 1], {"start_step": -1}, "start_step"),
        (np.zeros((4, 2)), [0, 0, 1, 1], {"examples_per_class": 0}, "examples_per_class"),
        (np.zeros((0, 2)), [], {}, "at least one label"),
        (np.zeros((2, 2)), None, {}, "sequence of labels"),
        (np.zeros((2, 2)), [[1, 2], [1]], {}, "one label a row.*data.multi_hot"),
        (np.zeros((2, 2)), [1, 2**70], {}, "64 bits"),
        (tf.constant([1.0, np.nan]), [0, 1], {}, r"NaN or infinity in 1 of 2 rows \(rows 1\)"),
        ([[1.0], [1.0, 2.0]], [0, 1], {}, "rows of one shape"),
        ([{"a": 1}, {"a": 2}], [0, 1], {}, "not both, and nothing else. Received: {'a': 1}"),
        (np.array([[1.0, "a"], [2.0, "b"]], object), [0, 1], {}, "not both.*Received: 1.0"),
    ],
)
def test_bad_input_is_named(x, y, settings, words):
    with pytest.raises(ValueError, match=words):
        data.pk_batches(x, y, **{"classes_per_batch": 2, "examples_per_class": 2, **settings})
