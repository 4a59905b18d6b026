"""Files, tables, records and streams as sources, and what happens to those that cannot be read."""

import wave

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_metric import data
from tests.data.support import drained


def write_png(path, value, shape=(4, 4, 3)):
    path.write_bytes(tf.io.encode_png(np.full(shape, value, "uint8")).numpy())
    return path


def write_wav(path, samples, rate=8000):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, len(samples), "NONE", ""))
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return path


@pytest.fixture
def pictures(tmp_path):
    """Paths of 24 pictures whose value is their row, and their labels."""
    return [write_png(tmp_path / f"{row}.png", row) for row in range(24)], np.arange(24) % 4


def load(path):
    return tf.io.decode_png(tf.io.read_file(path))


# Files through map_fn


def test_pictures_are_loaded_in_parallel_and_in_order(pictures):
    paths, y = pictures
    dataset = data.pk_batches(paths, y, 2, 3, seed=1, map_fn=data.load_image(4))
    assert dataset.element_spec[0].shape == (6, 4, 4, 3)
    for images, ids in drained(dataset):
        assert images.dtype == "uint8" and (images[:, 0, 0, 0] % 4 == ids).all()


@pytest.mark.parametrize("damage", ["torn", "gone", "empty"])
@pytest.mark.parametrize("make", [data.pk_batches, data.triplets])
def test_a_file_that_fails_while_training_is_named(pictures, damage, make):
    paths, y = pictures
    sizes = {"classes_per_batch": 4} if make is data.pk_batches else {"batch_size": 8}
    dataset = make(paths, y, seed=1, map_fn=load, **sizes)
    if damage == "gone":
        paths[13].unlink()
    else:
        paths[13].write_bytes(paths[13].read_bytes()[:30] if damage == "torn" else b"")
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=rf"{make.__name__} cannot read \S+/13.png in row 13: \S",
    ):
        for _ in range(3):
            drained(dataset)


def test_a_map_fn_that_never_works_is_told_at_once(pictures):
    with pytest.raises(ValueError, match=r"cannot read \S+/0.png in row 0: "):
        data.pk_batches(*pictures, 2, 3, map_fn=lambda path: tf.strings.to_number(path))


@pytest.mark.parametrize("load", [load, data.load_image(4)], ids=["shape unknown", "shape known"])
def test_unreadable_files_can_be_skipped_counted_and_listed(pictures, load):
    paths, y = pictures
    paths[5].write_bytes(b"\x89PNG no more")
    paths[7].unlink()
    with pytest.warns(
        UserWarning, match=r"skipped 2 unreadable: \S+5.png in row 5 .*7.png in row 7"
    ):
        dataset = data.pk_batches(paths, y, 4, 3, seed=1, map_fn=load, on_error="skip")
    assert len(dataset.report.skipped) == 2 and sum(dataset.report.counts.values()) == 22
    assert not {5, 7} & {int(v) for x, _ in drained(dataset) for v in x[:, 0, 0, 0]}


def test_files_resume_from_a_checkpoint(pictures, tmp_path):
    def make():
        return iter(data.pk_batches(*pictures, 2, 2, seed=5, map_fn=load))

    iterator = make()
    next(iterator), next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / "state"))
    rest = [x.numpy() for x, _ in iterator]
    again = make()
    tf.train.Checkpoint(iterator=again).read(path)
    np.testing.assert_array_equal([x.numpy() for x, _ in again], rest)
    assert len(rest) == 4


# Tables


def test_a_table_gives_paths_labels_and_groups(pictures, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "file": [f"{row}.png" for row in range(24)],
            "who": [("ann", "bob")[row % 2] for row in range(24)],
            "day": [row // 4 for row in range(24)],
        }
    )
    dataset = data.from_dataframe(
        frame, "file", "who", "day", root=tmp_path, image_size=4,
        classes_per_batch=2, examples_per_class=4, seed=1,
    )  # fmt: skip
    assert dataset.report.counts == {"ann": 12, "bob": 12}
    for images, ids in drained(dataset):
        rows = images[:, 0, 0, 0].astype(int)
        assert (rows % 2 == ids).all()
        assert all(len(set(rows[ids == c] // 4)) == 4 for c in (0, 1))
    with pytest.raises(ValueError, match="label.*one of the columns.*'name'"):
        data.from_dataframe(frame, "file", "name")
    frame.loc[3, "who"] = None
    with pytest.raises(ValueError, match=r"column 'who' .* nothing in 1 rows \(3\)"):
        data.from_dataframe(frame, "file", "who")
    with pytest.raises(TypeError, match="DataFrame"):
        data.from_dataframe({"path": []})


# Folders


@pytest.fixture
def sounds(tmp_path):
    for name, level in (("one", 1000), ("two", 2000), ("three", 3000), ("four", 4000)):
        (tmp_path / name).mkdir()
        for i in range(5):
            write_wav(tmp_path / name / f"{i}.wav", np.full(20 + i, level + i))
    return tmp_path


@pytest.mark.parametrize("in_memory", [True, False])
def test_folders_of_sounds(sounds, in_memory):
    dataset = data.from_folder(
        sounds,
        sound_length=22,
        in_memory=in_memory,
        classes_per_batch=3,
        examples_per_class=2,
        seed=1,
    )
    assert dataset.element_spec[0].shape == (6, 22)
    level = np.array([4000, 1000, 3000, 2000])  # in the order of names
    for x, ids in drained(dataset):
        assert x.dtype == "float32"
        assert (np.round(x[:, 0] * 32768) // 1000 * 1000 == level[ids]).all()
    x, _, names = data.load_folder(sounds)
    assert x.shape == (20, 24) and names == ["four", "one", "three", "two"]
    assert (x[0, 20:] == 0).all() and (x[4] != 0).all()


def test_sounds_of_different_rates_are_refused(sounds):
    write_wav(sounds / "one" / "fast.wav", np.zeros(9), rate=16000)
    with pytest.raises(ValueError, match=r"different sampling rates: \[8000, 16000\]"):
        data.from_folder(sounds)


def test_train_and_test_by_class_and_by_item(sounds):
    def values(**settings):
        dataset = data.from_folder(
            sounds, sound_length=20, classes_per_batch=1, examples_per_class=1, seed=1, **settings
        )
        batches = drained(dataset)
        names = list(dataset.report.counts)
        assert {int(y[0]) for _, y in batches} <= set(names)
        return {int(np.round(x[0, 0] * 32768)) for x, _ in batches}, names

    (train, ids), (test, test_ids) = (
        values(subset=s, test_fraction=0.25) for s in ("train", "test")
    )
    assert ids == [0, 1, 2] and test_ids == [0]
    assert not {v // 1000 for v in train} & {v // 1000 for v in test}
    (train, ids), (test, test_ids) = (
        values(subset=s, split_by="item", steps_per_epoch=40) for s in ("train", "test")
    )
    assert ids == test_ids == [0, 1, 2, 3] and len(train) == 16 and len(test) == 4
    assert not train & test


@pytest.mark.filterwarnings("ignore:from_folder skipped")
def test_a_selection_of_a_folder_goes_by_name_and_by_listed_file(sounds):
    (sounds / "four" / "1.wav").write_bytes(b"RIFF")
    take = [i for _ in range(4) for i in (0, 0, 1, 1, 2)]  # by file: the recording it was cut from
    with pytest.warns(UserWarning, match="four/1.wav"):
        dataset = data.from_folder(
            sounds, sound_length=20, on_error="skip", group=take, classes_per_batch=2,
            examples_per_class=3, steps_per_epoch=30, seed=1, hierarchy={"four": 0, "one": 0, "two": 1, "three": 1},
        )  # fmt: skip
    for x, ids in drained(dataset):
        number = np.round(x[:, 0] * 32768).astype(int) % 10
        for one in set(ids):
            assert sorted(np.array([0, 0, 1, 1, 2])[number[ids == one]]) == [0, 1, 2]
    dataset = data.from_folder(
        sounds, sound_length=20, subset="train", split_by="item", in_memory=False, group=take,
        classes_per_batch=1, class_weights={"one": 0.0}, on_error="skip", examples_per_class=1, seed=1,
    )  # fmt: skip
    assert all(1 not in ids for _, ids in drained(dataset)) and len(dataset.report.counts) == 3


def test_split_keeps_groups_together():
    y = np.repeat(np.arange(5), 12)
    group = np.arange(60) // 3
    train, test = data.split(y, 0.25, by="item", group=group)
    assert sorted([*train, *test]) == list(range(60))
    assert not set(group[train]) & set(group[test])
    assert set(y[train]) == set(y[test]) == set(range(5))
    assert 10 <= len(test) <= 20
    np.testing.assert_array_equal(data.split(y, 0.25, by="item", group=group)[1], test)
    with pytest.raises(ValueError, match="two or more classes"):
        data.split([1, 1, 1])
    with pytest.raises(ValueError, match="one side empty"):
        data.split([1, 2], by="item")


def test_broken_files_and_empty_classes_of_a_folder_can_be_skipped(sounds):
    (sounds / "empty").mkdir()
    (sounds / "one" / "0.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="'empty'"):
        data.from_folder(sounds)
    with pytest.warns(
        UserWarning, match=r"skipped 2 unreadable: class 'empty' \(no files\).*one/0.wav"
    ):
        dataset = data.from_folder(sounds, on_error="skip", classes_per_batch=2, seed=1)
    assert len(dataset.report.skipped) == 2 and dataset.report.counts == {0: 5, 1: 4, 2: 5, 3: 5}


# Records


@pytest.fixture
def records(tmp_path):
    for part in range(2):
        with tf.io.TFRecordWriter(str(tmp_path / f"part-{part}.tfrecord")) as file:
            for row in range(12 * part, 12 * part + 12):
                file.write(f"{row},{row % 3}".encode())
    return tmp_path


def parse(record):
    numbers = tf.strings.to_number(tf.strings.split(record, ","), tf.int64)
    return {"row": numbers[0], "text": record}, numbers[1]


def test_records(records):
    dataset = data.from_tfrecords(records / "part-*", parse, classes_per_batch=2, seed=1)
    for x, y in drained(dataset):
        assert (x["row"] % 3 == y).all()
        assert [int(text.split(b",")[0]) for text in x["text"]] == x["row"].tolist()
    assert sum(dataset.report.counts.values()) == 24


def test_unreadable_records_are_named_or_skipped(records):
    with tf.io.TFRecordWriter(str(records / "part-2.tfrecord")) as file:
        for text in (b"30,0", b"not numbers", b"31,1"):
            file.write(text)
    whole = (records / "part-1.tfrecord").read_bytes()
    (records / "part-1.tfrecord").write_bytes(whole[: len(whole) // 2 + 5])
    with pytest.raises(
        ValueError, match=r"part-1.tfrecord from record \d+ on .*record 1 of \S+part-2"
    ):
        data.from_tfrecords(records / "part-*", parse)
    with pytest.warns(UserWarning, match="skipped 2 unreadable"):
        dataset = data.from_tfrecords(
            records / "part-*",
            parse,
            on_error="skip",
            steps_per_epoch=20,
            classes_per_batch=3,
            seed=1,
        )
    rows = {int(row) for x, _ in drained(dataset) for row in x["row"]}
    assert {30, 31} <= rows and 23 not in rows
    with pytest.raises(ValueError, match="match files that are there.*none-"):
        data.from_tfrecords(str(records / "none-*"), parse)


# Streams


def stream(y, endless=False):
    dataset = tf.data.Dataset.from_tensor_slices((np.arange(len(y)), y))
    dataset = dataset.filter(lambda x, y: True)  # a length nobody knows
    return dataset.repeat() if endless else dataset


@pytest.mark.parametrize("order", ["mixed", "sorted", "mostly one class"])
def test_streams_give_distinct_rows_of_distinct_classes(order):
    random = np.random.default_rng(0)
    y = random.integers(0, 10, 800) * 2**40 - 7
    y = np.sort(y) if order == "sorted" else y
    y = np.where(random.random(800) < 0.8, y[0], y) if order == "mostly one class" else y
    dataset = data.from_stream(stream(y), 5, 4, seed=1)
    assert dataset.element_spec[0].shape == dataset.element_spec[1].shape == (20,)
    used = []
    for rows, ids in drained(dataset):
        assert (y[rows] == ids).all() and ids.dtype == "int64"
        groups = ids.reshape(5, 4)
        assert (groups == groups[:, :1]).all() and len(set(groups[:, 0])) == 5
        used += rows.tolist()
    assert len(set(used)) == len(used)
    assert len(used) >= {"mixed": 700, "sorted": 400, "mostly one class": 80}[order]


def test_streams_depend_on_seed_and_epoch_alone():
    y = np.arange(400) % 8

    def rows(dataset):
        return np.stack([x for x, _ in drained(dataset)])

    tf.random.set_seed(1)
    dataset = data.from_stream(stream(y), 4, 3, seed=1)
    first, second = rows(dataset), rows(dataset)
    tf.random.set_seed(2)
    again = data.from_stream(stream(y), 4, 3, seed=1)
    np.testing.assert_array_equal(rows(again), first)
    assert not (first[: len(second)] == second[: len(first)]).all()
    parts = [rows(data.from_stream(stream(y), 4, 3, seed=1, shard=(i, 2))) for i in range(2)]
    np.testing.assert_array_equal(parts[0], first[::2])
    np.testing.assert_array_equal(parts[1], first[1::2])
    np.testing.assert_array_equal(
        rows(data.from_stream(stream(y), 4, 3, seed=1, start_step=5)), first[5:]
    )


def test_endless_streams_of_files_train(pictures):
    paths, y = pictures
    texts = tf.data.Dataset.from_tensor_slices(([str(p) for p in paths], [f"class {c}" for c in y]))
    dataset = data.from_stream(
        texts.repeat(), 3, 2, steps_per_epoch=5, seed=1, map_fn=data.load_image(4)
    )
    assert int(dataset.cardinality()) == 5 and dataset.element_spec[0].shape == (6, 4, 4, 3)
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.compile("sgd", lambda y_true, y_pred: keras.ops.mean(y_pred, axis=-1))
    assert len(model.fit(dataset, epochs=2, verbose=0).history["loss"]) == 2
    paths[4].write_bytes(b"torn")
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"from_stream cannot read \S+/4.png: "
    ):
        for _ in range(4):
            drained(dataset)


def test_streams_skip_and_list_what_cannot_be_read(pictures):
    paths, y = pictures
    paths[4].write_bytes(b"torn")
    paths[23].unlink()
    source = tf.data.Dataset.from_tensor_slices(([str(path) for path in paths], y)).repeat()
    dataset = data.from_stream(source, 3, 2, 9, seed=1, map_fn=data.load_image(4), on_error="skip")
    assert len(dataset) == 9
    assert dataset.element_spec[0].shape == (6, 4, 4, 3)
    with pytest.warns(UserWarning, match=r"skips \S+/4.png \(.*report"):
        batches = drained(dataset)
    for images, ids in batches:
        assert (images[:, 0, 0, 0] % 4 == ids).all() and not {4, 23} & set(images[:, 0, 0, 0])
    assert {name.split("/")[-1] for name, _ in dataset.report.skipped} == {"4.png", "23.png"}
    assert "2 unreadable" in str(dataset.report)


def test_streams_with_nan():
    x = np.arange(40.0)
    x[[3, 9]] = np.nan
    source = tf.data.Dataset.from_tensor_slices(
        ({"value": x, "row": np.arange(40)}, np.arange(40) % 4)
    )
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"NaN or infinity in these elements.*\[[39 ]+\]"
    ):
        drained(data.from_stream(source, 3, 2, seed=1))
    dataset = data.from_stream(source, 3, 2, seed=1, on_error="skip")
    with pytest.warns(UserWarning, match=r"skips element 3 \(NaN"):
        assert all(np.isfinite(rows["value"]).all() for rows, _ in drained(dataset))
    assert sorted(name for name, _ in dataset.report.skipped) == ["element 3", "element 9"]


def test_a_stream_of_too_few_classes_does_not_go_on_for_ever():
    with pytest.raises(tf.errors.InvalidArgumentError, match="no batch of 3 classes"):
        drained(data.from_stream(stream(np.arange(60) % 2, endless=True), 3, 2, reservoir=2))


def test_a_stream_too_short_for_one_batch_is_an_error_not_an_empty_epoch():
    short = stream(np.arange(12) % 3)
    assert len(drained(data.from_stream(short, 3, 4))) == 1
    for classes, examples in [(4, 2), (3, 5)]:
        with pytest.raises(tf.errors.InvalidArgumentError, match="before its source ended"):
            drained(data.from_stream(short, classes, examples))
    named = short.map(lambda x, y: ({"path": tf.strings.as_string(x)}, y))
    with pytest.raises(tf.errors.InvalidArgumentError, match="before its source ended"):
        drained(data.from_stream(named.take(0), 2, 2))


@pytest.mark.parametrize(
    "elements, words",
    [
        (np.arange(4), "must give"),
        ((np.arange(4).reshape(2, 2), np.arange(4).reshape(2, 2)), "use dataset.unbatch"),
        ((np.arange(4), np.arange(4.0)), "integers or texts"),
    ],
)
def test_streams_of_something_else_are_refused(elements, words):
    with pytest.raises(ValueError, match=words):
        data.from_stream(tf.data.Dataset.from_tensor_slices(elements))
    with pytest.raises(TypeError, match=r"tf.data.Dataset"):
        data.from_stream([1, 2])
