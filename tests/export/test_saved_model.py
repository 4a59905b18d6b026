import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_metric import export
from tests.export.conftest import images


def cosine_distances(a, b):
    a, b = a.astype("float64"), b.astype("float64")
    return np.array(
        [1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a, b, strict=True)]
    )


def flat_encoder(width=3):
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, keras.layers.Dense(width)(inputs), name="flat")


@pytest.fixture(scope="module")
def written(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "digits"
    return export.saved_model(encoder, path, threshold=0.4, metrics={"hit@1": np.float32(0.5)})


def test_signatures_and_what_they_give(encoder, written):
    model = tf.saved_model.load(str(written))
    assert set(model.signatures) == {"serving_default", "embed", "similarity"}
    a, b = images(7, 1), images(7, 2)
    expected = np.asarray(encoder(a, training=False)), np.asarray(encoder(b, training=False))
    for name in ("serving_default", "embed"):
        outputs = model.signatures[name](inputs=tf.constant(a))
        assert set(outputs) == {"embedding"}
        np.testing.assert_allclose(outputs["embedding"], expected[0], atol=1e-6)
    pairs = model.signatures["similarity"](a=tf.constant(a), b=tf.constant(b))
    assert set(pairs) == {"distance", "similarity", "same"}
    distances = cosine_distances(*expected)
    np.testing.assert_allclose(pairs["distance"], distances, atol=1e-6)
    np.testing.assert_allclose(pairs["similarity"], 1 - distances, atol=1e-6)
    assert pairs["same"].dtype == tf.bool
    np.testing.assert_array_equal(pairs["same"], distances <= 0.4)
    assert 0 < np.sum(pairs["same"]) < 7


def test_rows_that_do_not_pair_are_refused(written):
    similarity = tf.saved_model.load(str(written))
    with pytest.raises(tf.errors.InvalidArgumentError, match="same number of rows"):
        similarity.signatures["similarity"](a=tf.constant(images(3)), b=tf.constant(images(2)))


def test_without_a_threshold_nothing_is_decided(tmp_path):
    folder = export.saved_model(flat_encoder(), tmp_path, distance="euclidean")
    model = tf.saved_model.load(str(folder))
    outputs = model.signatures["similarity"](a=tf.ones((2, 4)), b=tf.ones((2, 4)))
    assert set(outputs) == {"distance", "similarity"}
    np.testing.assert_array_equal(outputs["distance"], [0, 0])


def test_a_distance_equal_to_the_threshold_is_the_same_and_the_next_one_is_not(tmp_path):
    # The threshold lies between 0.1 in float32 (0.10000000149) and the float32 below it.
    identity = keras.Sequential([keras.Input((1,)), keras.layers.Identity()])
    a, b = tf.constant([[0.0], [0.0]]), tf.constant([[0.1], [np.nextafter(np.float32(0.1), 0)]])
    for threshold, expected in ((0.1, [False, True]), (float(np.float32(0.1)), [True, True])):
        folder = export.saved_model(identity, tmp_path, threshold=threshold, distance="euclidean")
        same = tf.saved_model.load(str(folder)).signatures
        np.testing.assert_array_equal(same["similarity"](a=a, b=b)["same"], expected)


def test_versions_count_on_and_are_never_replaced_unasked(tmp_path):
    encoder = flat_encoder()
    (tmp_path / "logs").mkdir()
    (tmp_path / "encoder.keras").write_text("not a version")
    assert export.saved_model(encoder, tmp_path) == tmp_path / "1"
    assert export.saved_model(encoder, tmp_path) == tmp_path / "2"
    assert export.saved_model(encoder, tmp_path, version=9) == tmp_path / "9"
    assert export.saved_model(encoder, str(tmp_path)) == tmp_path / "10"
    before = (tmp_path / "2" / "saved_model.pb").read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True.*|`version`.*exists"):
        export.saved_model(encoder, tmp_path, version=2)
    assert (tmp_path / "2" / "saved_model.pb").read_bytes() == before
    other = flat_encoder(width=5)
    export.saved_model(other, tmp_path, version=2, overwrite=True)
    loaded = tf.saved_model.load(str(tmp_path / "2"))
    assert loaded.signatures["embed"](inputs=tf.ones((1, 4)))["embedding"].shape == (1, 5)
    names = {entry.name for entry in tmp_path.iterdir()}
    assert names == {"logs", "encoder.keras", "1", "2", "9", "10"}


def test_a_failure_leaves_what_was_there_and_nothing_half_written(tmp_path, monkeypatch):
    encoder = flat_encoder()
    folder = export.saved_model(encoder, tmp_path, version=1)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("keras_metric.export.card.write", fail)
    with pytest.raises(OSError, match="no space"):
        export.saved_model(encoder, tmp_path, version=1, overwrite=True)
    with pytest.raises(OSError, match="no space"):
        export.saved_model(encoder, tmp_path)
    after = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert after == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]


def test_the_old_version_comes_back_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    encoder = flat_encoder()
    folder = export.saved_model(encoder, tmp_path, version=1)
    before = (folder / "saved_model.pb").read_bytes()
    from keras_metric.export import versions

    rename = versions.os.rename

    def refuse_the_new(source, target):
        if "unfinished" in str(source):
            raise PermissionError("refused")
        rename(source, target)

    monkeypatch.setattr(versions.os, "rename", refuse_the_new)
    with pytest.raises(PermissionError):
        export.saved_model(encoder, tmp_path, version=1, overwrite=True)
    assert (folder / "saved_model.pb").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize("nesting", ["dict", "list"])
def test_several_inputs_are_taken_by_name(tmp_path, nesting):
    image, text = keras.Input((3,), name="image"), keras.Input((2,), name="text")
    merged = keras.layers.Dense(4)(keras.layers.Concatenate()([image, text]))
    inputs = {"image": image, "text": text} if nesting == "dict" else [image, text]
    encoder = keras.Model(inputs, merged)
    x, t = np.eye(3, dtype="float32"), np.ones((3, 2), "float32")
    batch = {"image": x, "text": t} if nesting == "dict" else [x, t]
    folder = export.saved_model(encoder, tmp_path, warmup=batch)
    signatures = tf.saved_model.load(str(folder)).signatures
    outputs = signatures["embed"](image=tf.constant(x), text=tf.constant(t))
    np.testing.assert_allclose(outputs["embedding"], encoder(batch), atol=1e-6)
    pair = {"a_image": x, "a_text": t, "b_image": x[::-1], "b_text": t}
    outputs = signatures["similarity"](**{name: tf.constant(one) for name, one in pair.items()})
    expected = np.asarray(encoder(batch))
    np.testing.assert_allclose(
        outputs["distance"], cosine_distances(expected, expected[::-1]), atol=1e-5
    )


def test_uint8_images_keep_their_type(tmp_path):
    encoder = keras.Sequential(
        [
            keras.Input((2, 2, 1), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
        ]
    )
    folder = export.saved_model(encoder, tmp_path)
    embed = tf.saved_model.load(str(folder)).signatures["embed"]
    x = np.array([[0, 51], [102, 255]], "uint8").reshape(1, 2, 2, 1)
    outputs = embed(inputs=tf.constant(x))["embedding"]
    np.testing.assert_allclose(outputs, [[0, 0.2, 0.4, 1]], atol=1e-6)


def test_encoded_images_through_preprocessing(encoder, tmp_path):
    def decode(contents):
        images = tf.map_fn(
            lambda one: tf.io.decode_png(one, 1), contents, fn_output_signature=tf.uint8
        )
        return tf.ensure_shape(tf.cast(images, tf.float32) / 255, (None, 8, 8, 1))

    raw = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype("uint8")
    contents = np.array([tf.io.encode_png(one).numpy() for one in raw], object)
    folder = export.saved_model(encoder, tmp_path, preprocessing=decode, warmup=contents)
    signatures = tf.saved_model.load(str(folder)).signatures
    outputs = signatures["embed"](inputs=tf.constant(contents))["embedding"]
    np.testing.assert_allclose(outputs, encoder(raw / np.float32(255), training=False), atol=1e-6)
    report = export.verify(folder, encoder, contents)
    assert report.differences["embed"] <= 1e-5


def test_tables_of_a_preprocessing_function_are_saved_and_their_files_not_needed(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("ant\nbee\ncat\n")
    initializer = tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
    )  # fmt: skip
    table = tf.lookup.StaticHashTable(initializer, -1)

    def one_hot(texts):
        return tf.one_hot(table.lookup(texts), 4)

    folder = export.saved_model(
        flat_encoder(),
        tmp_path / "model",
        preprocessing=one_hot,
        input_signature=tf.TensorSpec((None,), tf.string),
    )
    words.unlink()
    done = export.run_without_keras(
        folder, [("preprocess", {"inputs": np.array(["cat", "ant", "elk"])})]
    )
    np.testing.assert_array_equal(
        done.outputs[0]["inputs"], [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    )


def test_text_through_a_keras_layer(tmp_path):
    vectorize = keras.layers.TextVectorization(output_mode="multi_hot", max_tokens=4)
    vectorize.adapt(["red green", "green blue"])
    folder = export.saved_model(
        flat_encoder(4),
        tmp_path,
        preprocessing=vectorize,
        input_signature=[tf.TensorSpec((None,), "string")],
    )
    texts = np.array(["red", "green green"])
    done = export.run_without_keras(folder, [("preprocess", {"inputs": texts})])
    np.testing.assert_array_equal(
        next(iter(done.outputs[0].values())), vectorize(tf.constant(texts))
    )
    (vocabulary,) = (folder / "assets").iterdir()
    assert vocabulary.read_text().split("\n") == [*vectorize.get_vocabulary(), ""]


def test_waveforms(tmp_path):
    def spectrum(waves):
        return tf.abs(tf.signal.stft(waves, frame_length=64, frame_step=32))

    encoder = keras.Sequential(
        [keras.Input((None, 33)), keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(3)]
    )
    waves = np.sin(np.arange(256) * np.array([[0.1], [0.3]])).astype("float32")
    mel = keras.layers.MelSpectrogram(
        fft_length=64, sequence_stride=32, sampling_rate=8000, num_mel_bins=33, max_freq=4000
    )
    swapped = keras.Sequential([keras.Input((None,)), mel, keras.layers.Permute((2, 1))])
    for name, preprocessing in (("function", spectrum), ("layer", swapped)):
        folder = export.saved_model(
            encoder, tmp_path / name, preprocessing=preprocessing,
            input_signature=[tf.TensorSpec((None, None), tf.float32)],
        )  # fmt: skip
        embed = tf.saved_model.load(str(folder)).signatures["embed"]
        for one in (waves, waves[:, :128]):  # of any length
            expected = encoder(preprocessing(tf.constant(one)))
            np.testing.assert_allclose(
                embed(inputs=tf.constant(one))["embedding"], expected, rtol=1e-5, atol=1e-5
            )


def test_half_precision_becomes_float32(tmp_path):
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, dtype="mixed_bfloat16")])
    folder = export.saved_model(encoder, tmp_path)
    outputs = tf.saved_model.load(str(folder)).signatures["embed"](inputs=tf.ones((2, 4)))
    assert outputs["embedding"].dtype == tf.float32
    np.testing.assert_array_equal(
        outputs["embedding"], tf.cast(encoder(tf.ones((2, 4))), tf.float32)
    )


def test_a_bare_layer_and_a_keras_file(tmp_path):
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    folder = export.saved_model(layer, tmp_path / "layer")
    x = np.eye(4, dtype="float32")
    embed = tf.saved_model.load(str(folder)).signatures["embed"]
    np.testing.assert_allclose(embed(inputs=tf.constant(x))["embedding"], layer(x), atol=1e-6)
    model = flat_encoder()
    model.save(tmp_path / "model.keras")
    folder = export.saved_model(tmp_path / "model.keras", tmp_path / "file")
    embed = tf.saved_model.load(str(folder)).signatures["embed"]
    np.testing.assert_allclose(embed(inputs=tf.constant(x))["embedding"], model(x), atol=1e-6)


def test_the_model_card(written):
    card = json.loads((written / "model_card.json").read_text())
    assert card["threshold"] == 0.4
    assert card["distance"]["class_name"] == "CosineDistance"
    assert card["metrics"] == {"hit@1": 0.5}
    assert card["encoder"]["embedding_dimensions"] == 6
    assert card["signatures"]["similarity"]["outputs"]["same"]["dtype"] == "bool"
    assert card["versions"]["tensorflow"] == tf.__version__
    import hashlib

    for name, digest in card["sha256"].items():
        assert hashlib.sha256((written / name).read_bytes()).hexdigest() == digest
    assert {"saved_model.pb", "variables/variables.index"} <= set(card["sha256"])


def test_the_warmup_file_is_what_tensorflow_serving_reads(encoder, tmp_path):
    prediction_log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    folder = export.saved_model(encoder, tmp_path / "digits", warmup=images(2))
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(file))
    ]
    assert [log.WhichOneof("log_type") for log in logs] == ["predict_log"] * 2
    requests = [log.predict_log.request for log in logs]
    assert [one.model_spec.signature_name for one in requests] == ["embed", "similarity"]
    assert {one.model_spec.name for one in requests} == {"digits"}
    assert set(requests[1].inputs) == {"a", "b"}
    np.testing.assert_array_equal(tf.make_ndarray(requests[0].inputs["inputs"]), images(2))


BAD = [
    (dict(encoder="nowhere.keras"), FileNotFoundError, "nowhere.keras"),
    (dict(encoder=3), TypeError, "`encoder` of saved_model"),
    (dict(path=3), TypeError, "`path` of saved_model"),
    (dict(version=0), ValueError, "`version` of saved_model"),
    (dict(version="1"), ValueError, "`version` of saved_model"),
    (dict(threshold=float("nan")), ValueError, "`threshold` of saved_model"),
    (dict(threshold="0.4"), ValueError, "`threshold` of saved_model"),
    (dict(distance="cosin"), ValueError, "cosine"),
    (dict(k=0), ValueError, "`k` of saved_model"),
    (dict(preprocessing="resize"), TypeError, "`preprocessing` of saved_model"),
    (dict(index="nowhere"), FileNotFoundError, "nowhere"),
    (dict(index=3), TypeError, "`index` of saved_model"),
    (dict(warmup=np.ones((2, 5), "float32")), ValueError, "`warmup` of saved_model"),
    (dict(warmup=np.ones((0, 4), "float32")), ValueError, "`warmup` of saved_model"),
    (dict(warmup=np.array([["a"] * 4])), ValueError, "`warmup` of saved_model"),
    (dict(input_signature=tf.TensorSpec((), tf.string)), ValueError, "batch axis"),
    (dict(input_signature="float32"), TypeError, "`input_signature` of saved_model"),
    (dict(metrics=[1]), TypeError, "`metrics` of saved_model"),
    (dict(metrics={"hit@1": object()}), TypeError, "`metrics` of saved_model"),
    (dict(preprocessing=tf.strings.length), ValueError, r"`preprocessing`.*\(None, 4\).*`warmup`"),
    (
        dict(preprocessing=lambda x: x[:, :2]),
        ValueError,
        r"`encoder`.*`preprocessing`.*\(None, 2\)",
    ),
]


@pytest.mark.parametrize("change, kind, message", BAD, ids=lambda value: str(value)[:40])
def test_bad_arguments_write_nothing(tmp_path, change, kind, message):
    arguments = {"encoder": flat_encoder(), "path": tmp_path / "model", **change}
    with pytest.raises(kind, match=message):
        export.saved_model(**arguments)
    assert not (tmp_path / "model" / "1").exists()
    assert list((tmp_path).rglob("*unfinished*")) == []


def test_an_encoder_that_gives_no_matrix_is_refused(tmp_path):
    inputs = keras.Input((4, 4, 1))
    maps = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    with pytest.raises(ValueError, match="one tensor of embeddings"):
        export.saved_model(maps, tmp_path)


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(NotADirectoryError, match="is a file"):
        export.saved_model(flat_encoder(), tmp_path / "model")
    assert (tmp_path / "model").read_text() == "mine"
