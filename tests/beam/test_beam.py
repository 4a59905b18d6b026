"""A corpus embedded by Beam's local runner, compared with the encoder."""

import json

import keras
import numpy as np
import pytest

from tests.support import BACKEND

if BACKEND != "tensorflow":
    pytest.skip("exported models are made on the TensorFlow backend", allow_module_level=True)
pytest.importorskip(
    "apache_beam", reason="apache-beam is not installed: pip install 'keras-metric[beam]'"
)

import tensorflow as tf

from keras_metric import beam, export
from keras_metric.index import Index

PREPROCESSING = export.EncodedImages(6, 6, channels=1)


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(5)]
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    export.saved_model(encoder, folder, preprocessing=PREPROCESSING)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(23):
        pixels = random.integers(0, 256, (7, 9, 1)).astype("uint8")
        (folder / f"é {number}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    return folder


def expected(encoder, files):
    contents = tf.constant([file.read_bytes() for file in files])
    return dict(zip(map(str, files), np.asarray(encoder(PREPROCESSING(contents))), strict=True))


def collected(output):
    found = {}
    for ids, vectors in beam.read_vectors(output):
        assert ids.tolist() == sorted(ids.tolist())
        found.update(zip(ids.tolist(), vectors, strict=True))
    return found


def test_files(encoder, model, photos, tmp_path):
    output = tmp_path / "vectors"
    count = beam.embed_files(f"{photos}/*.png", model, output, shards=3, max_batch_size=4)
    assert count == 23
    names = {entry.name for entry in output.iterdir()}
    assert names == {"vectors.json", *(f"vectors-0000{n}-of-00003.npz" for n in range(3))}
    found, right = collected(output), expected(encoder, sorted(photos.iterdir()))
    assert set(found) == set(right)
    for name, vector in right.items():
        np.testing.assert_allclose(found[name], vector, atol=1e-5)
    index = Index()
    for ids, vectors in beam.read_vectors(output):
        index.add(vectors, ids=ids)
    assert len(index) == 23
    with pytest.raises(FileExistsError, match="overwrite=True"):
        beam.embed_files(f"{photos}/*.png", model, output)
    assert beam.embed_files(f"{photos}/*1*.png", model, output, shards=1, overwrite=True) == 12
    assert len(collected(output)) == 12 and len(list(output.iterdir())) == 2


def test_tfrecords_of_numbers(encoder, tmp_path):
    export.saved_model(encoder, tmp_path / "model")
    images = np.random.default_rng(1).integers(0, 256, (40, 6, 6, 1)).astype("uint8")
    for part in range(2):
        with tf.io.TFRecordWriter(str(tmp_path / f"part-{part}.tfrecord")) as records:
            for row in range(part, 40, 2):
                records.write(row.to_bytes(8, "big") + images[row].tobytes())

    def parse(record):
        pixels = np.frombuffer(record[8:], "uint8").reshape(6, 6, 1)
        return int.from_bytes(record[:8], "big") + 2**53, pixels.astype("float32")

    count = beam.embed_tfrecords(
        f"{tmp_path}/part-*.tfrecord", parse, tmp_path / "model", tmp_path / "vectors", shards=2
    )
    assert count == 40
    found = collected(tmp_path / "vectors")
    right = np.asarray(encoder(images.astype("float32")))
    assert set(found) == {2**53 + row for row in range(40)}
    for row in range(40):
        np.testing.assert_allclose(found[2**53 + row], right[row], atol=1e-5)


def test_what_a_run_refuses(model, photos, tmp_path):
    with pytest.raises(FileNotFoundError, match="SavedModel"):
        beam.embed_files(f"{photos}/*.png", tmp_path / "nowhere", tmp_path / "v")
    assert not (tmp_path / "v").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="notes.txt"):
        beam.embed_files(f"{photos}/*.png", model, tmp_path / "mine", overwrite=True)
    with pytest.raises(Exception, match="neither a JPEG nor a PNG"):
        beam.embed_files(str(tmp_path / "mine" / "*"), model, tmp_path / "v")
    with pytest.raises(FileNotFoundError, match="no run .* was finished"):
        list(beam.read_vectors(tmp_path / "v"))


def test_damaged_vectors_are_seen(tmp_path):
    from keras_metric.beam import shards

    pairs = [(f"{n}", np.full(3, n, "float32")) for n in range(5)]
    shards._write((0, pairs), tmp_path, 1)
    assert shards.finish(tmp_path, "model") == 5
    assert len(collected(tmp_path)) == 5
    with pytest.raises(ValueError, match="more than once: \\['3'\\]"):
        shards._write((0, [*pairs, pairs[3]]), tmp_path, 1)
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(ValueError, match="missing or was changed"):
        list(beam.read_vectors(tmp_path))
    told = json.loads((tmp_path / "vectors.json").read_text())
    told["files"] = {"../secret.npz": {"rows": 1, "bytes": 1}}
    (tmp_path / "vectors.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match="missing or was changed"):
        list(beam.read_vectors(tmp_path))
