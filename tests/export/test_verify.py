import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_metric import export
from tests.export.conftest import images


@pytest.fixture(scope="module")
def written(encoder, tmp_path_factory):
    return export.saved_model(encoder, tmp_path_factory.mktemp("written"), threshold=0.4)


def test_the_proof_and_what_it_tells(encoder, written):
    report = export.verify(written.parent, encoder, images(9))
    assert report.batches == (1, 2, 5, 16, 33)
    assert set(report.differences) == {"serving_default", "embed", "similarity"}
    assert 0 <= max(report.differences.values()) <= 1e-5
    assert report.without.process != __import__("os").getpid()
    told = str(report)
    assert str(written) in told and "importing keras and keras_metric fails" in told


def test_other_weights_are_found_out(encoder, written):
    other = keras.models.clone_model(encoder)
    other.set_weights([np.asarray(weight) for weight in encoder.get_weights()])
    kernel = other.layers[-2].kernel
    kernel.assign(kernel + 1e-3)
    with pytest.raises(export.VerificationError, match="serving_default differs by"):
        export.verify(written, other, images(4))


def test_preprocessing_that_was_left_out_of_the_export_is_found_out(encoder, written):
    with pytest.raises(export.VerificationError, match="serving_default differs by"):
        export.verify(written, encoder, images(4), preprocessing=lambda x: x / 255.0)


@pytest.mark.parametrize("name", ["variables/variables.data-00000-of-00001", "saved_model.pb"])
def test_a_changed_or_missing_file_is_found_out(encoder, written, tmp_path, name):
    copy = shutil.copytree(written, tmp_path / "1")
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(export.VerificationError, match=f"{name} of .* was changed"):
        export.verify(copy, encoder, images(2))
    (copy / name).write_bytes(content[:-9])
    with pytest.raises(export.VerificationError, match=name):
        export.verify(copy, encoder, images(2))


def test_keras_and_the_library_cannot_be_imported_there(written):
    done = export.run_without_keras(written, [("embed", {"inputs": images(2)})])
    assert done.refused["keras"] == "keras is blocked in this process"
    assert done.refused["keras_metric"] == "keras_metric is blocked in this process"
    assert done.outputs[0]["embedding"].shape == (2, 6)
    assert done.signatures == ["embed", "serving_default", "similarity"]


def test_a_model_that_needs_keras_is_found_out(tmp_path):
    """A graph that calls back into Python runs here and not in another process."""

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 2), name="inputs")])
        def embed(self, inputs):
            return {"embedding": tf.numpy_function(lambda x: x, [inputs], tf.float32)}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"embed": module.embed})
    with pytest.raises(RuntimeError, match="fails in a process without Keras"):
        export.run_without_keras(tmp_path, [("embed", {"inputs": np.ones((1, 2), "float32")})])


def test_bad_arguments(encoder, written, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        export.verify(tmp_path / "nowhere", encoder, images(2))
    with pytest.raises(FileNotFoundError, match="no saved_model.pb"):
        export.verify(tmp_path, encoder, images(2))
    with pytest.raises(ValueError, match="`inputs` of verify"):
        export.verify(written, encoder, np.ones((2, 9, 9, 1), "float32"))
    with pytest.raises(ValueError, match="`inputs` of verify"):
        export.verify(written, encoder, images(0))
    with pytest.raises(ValueError, match="`tolerance` of verify"):
        export.verify(written, encoder, images(2), tolerance=-1)


def test_texts_cross_over_byte_by_byte(tmp_path):
    from keras_metric.export import probe

    texts = np.array([[b"\x00\xff\x00", b""], ["é".encode(), b"\x00"]], object)
    probe.save_arrays(tmp_path / "x", [np.arange(3), texts, np.zeros((0, 2), "float32")])
    numbers, back, empty = probe.load_arrays(tmp_path / "x")
    assert back.tolist() == texts.tolist()
    assert numbers.tolist() == [0, 1, 2] and empty.shape == (0, 2)


def test_made_up_inputs(tmp_path):
    image, count = keras.Input((None, 2), dtype="uint8", name="image"), keras.Input((3,), name="x")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Rescaling(0.1)(image))
    encoder = keras.Model([image, count], keras.layers.Concatenate()([pooled, count]))
    batch = export.made_up_inputs(export.saved_model(encoder, tmp_path), rows=5)
    assert batch["image"].shape == (5, 32, 2) and batch["image"].dtype == np.uint8
    assert batch["x"].shape == (5, 3) and 0 <= batch["x"].min() < batch["x"].max() < 1
    report = export.verify(tmp_path, encoder, batch)
    assert report.differences["embed"] <= 1e-5
