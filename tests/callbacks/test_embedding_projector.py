"""Files in the form that TensorBoard takes."""

import re

import keras
import numpy as np
import pytest

from keras_metric import callbacks

tf = pytest.importorskip("tensorflow")


def trained(tmp_path, x, y, epochs=3, extra=(), **arguments):
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), keras.layers.Flatten(), keras.layers.Dense(5)]
    )
    model.compile("sgd", "mse")
    own = callbacks.EmbeddingProjector(tmp_path / "run", x, y, **arguments)
    model.fit(x, np.zeros((len(x), 5)), epochs=epochs, verbose=0, callbacks=[own, *extra])
    return model, tmp_path / "run"


def images(n=10, shape=(6, 4, 3)):
    return np.random.default_rng(0).integers(0, 256, (n, *shape)).astype("uint8")


def test_files_hold_embeddings_labels_and_thumbnails(tmp_path):
    x = images()
    labels = ["a", "b\tc", "ü", *"defghij"]
    model, folder = trained(tmp_path, x.astype("float32"), labels, images=x)
    table = np.loadtxt(folder / "tensors.tsv", delimiter="\t")
    expected = np.asarray(model.predict(x.astype("float32"), verbose=0))
    np.testing.assert_allclose(table, expected, rtol=1e-4, atol=1e-4)
    rows = (folder / "metadata.tsv").read_text("utf-8").splitlines()
    assert rows == ["a", "b c", "ü", *"defghij"]  # one column: no heading
    sheet = tf.io.decode_png((folder / "sprite.png").read_bytes()).numpy()
    assert sheet.shape == (4 * 6, 4 * 4, 3)  # the least square that holds 10 thumbnails
    for i in range(10):
        row, column = divmod(i, 4)
        np.testing.assert_array_equal(
            sheet[row * 6 : row * 6 + 6, column * 4 : column * 4 + 4], x[i]
        )
    assert not sheet[2 * 6 : 3 * 6, 2 * 4 :].any() and not sheet[3 * 6 :].any()
    config = (folder / "projector_config.pbtxt").read_text()
    assert re.findall(r'_path: "(.*)"', config) == ["tensors.tsv", "metadata.tsv", "sprite.png"]
    assert re.findall(r"single_image_dim: (\d+)", config) == ["4", "6"]  # width, height
    assert config.count("{") == config.count("}") == 2
    assert not list(folder.glob("*.new"))


def test_scalars_hold_the_logs_of_every_epoch(tmp_path):
    x = images().astype("float32") / 255
    evaluation = callbacks.RetrievalEvaluation(x, np.arange(10) % 3, metrics="hit@1")
    _, folder = trained(tmp_path, x, None, extra=[evaluation])
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(next(folder.glob("events.out.*")))):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(event.step)
    assert found == {"loss": [0, 1, 2], "val_hit@1": [0, 1, 2]}
    assert (folder / "metadata.tsv").read_text().split() == [str(i) for i in range(10)]


def test_several_columns_stand_under_a_heading_and_large_images_are_made_small(tmp_path):
    x = images(5, (40, 80, 1)).astype("float32") / 255
    columns = {"digit": np.arange(5), "writer": ["x", "y", "x", "y", "x"]}
    _, folder = trained(
        tmp_path, x, columns, epochs=1, every=5, thumbnail=16, scalars=False
    )  # written at the end of training
    rows = (folder / "metadata.tsv").read_text().splitlines()
    assert rows[:2] == ["digit\twriter", "0\tx"]
    sheet = tf.io.decode_png((folder / "sprite.png").read_bytes()).numpy()
    assert sheet.shape == (3 * 8, 3 * 16, 1)
    np.testing.assert_allclose(sheet[:8, :16].mean(), x[0].mean() * 255, atol=1)
    assert not list(folder.glob("events.*"))


def test_data_that_is_no_image_has_no_thumbnails(tmp_path):
    _, folder = trained(tmp_path, np.ones((4, 7), "float32"), None, epochs=1)
    assert not (folder / "sprite.png").exists()
    assert "sprite" not in (folder / "projector_config.pbtxt").read_text()
    _, folder = trained(tmp_path / "b", images().astype("float32"), None, epochs=1, images=False)
    assert not (folder / "sprite.png").exists()


def test_wrong_input_is_refused(tmp_path):
    x = images()
    with pytest.raises(ValueError, match="`x` and `y` of EmbeddingProjector .* 10 and 9"):
        callbacks.EmbeddingProjector(tmp_path, x, np.arange(9))
    with pytest.raises(ValueError, match="`x` and `images` of EmbeddingProjector .* 10 and 9"):
        callbacks.EmbeddingProjector(tmp_path, x, images=x[:9])
    with pytest.raises(ValueError, match="`images` of EmbeddingProjector must have the shape"):
        callbacks.EmbeddingProjector(tmp_path, x, images=x[..., :2])
    for data in (tf.data.Dataset.from_tensor_slices(x).batch(2), [1.0, 2.0]):
        with pytest.raises(
            ValueError, match="`x` of EmbeddingProjector must be an array or nested"
        ):
            callbacks.EmbeddingProjector(tmp_path, data)
