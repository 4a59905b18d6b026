"""Encoders as LiteRT and ONNX files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_metric import export
from tests.export.conftest import images

LITERT = {"float32": 1e-6, "float16": 2e-3, "int8_weights": 0.03, "int8": 0.05}


def several_inputs():
    image, text = keras.Input((3,), name="image"), keras.Input((2,), name="text")
    merged = keras.layers.Dense(4, "gelu")(keras.layers.Concatenate()([image, text]))
    return keras.Model({"image": image, "text": text}, merged)


@pytest.mark.parametrize("precision", LITERT)
def test_litert(encoder, tmp_path, precision):
    batch = images(60)
    told = export.litert(encoder, tmp_path / "e.tflite", precision, inputs=batch)
    expected = np.asarray(encoder(batch, training=False))
    interpreter = tf.lite.Interpreter(model_path=str(tmp_path / "e.tflite"))
    found = interpreter.get_signature_runner("embed")(inputs=batch)["embedding"]
    gap = np.abs(found - expected).max()
    assert gap <= LITERT[precision]
    assert told.difference == pytest.approx(gap, abs=1e-3 * LITERT[precision])
    assert told.bytes == (tmp_path / "e.tflite").stat().st_size and told.rows == 60
    assert told.cosine == pytest.approx((found * expected).sum(1).min(), abs=1e-3)
    assert f"{told.bytes:,} bytes" in str(told)
    assert [one.name for one in tmp_path.iterdir()] == ["e.tflite"]


def test_smaller_precisions_make_smaller_files(tmp_path):
    encoder = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(256), keras.layers.Dense(64)]
    )
    x = np.random.default_rng(0).normal(size=(40, 64)).astype("float32")
    sizes = [
        export.litert(encoder, tmp_path / f"{precision}.tflite", precision, inputs=x).bytes
        for precision in ("float32", "float16", "int8_weights", "int8")
    ]
    assert 0.45 < sizes[1] / sizes[0] < 0.6 and 0.2 < sizes[2] / sizes[0] < 0.35
    assert 0.2 < sizes[3] / sizes[0] < 0.35


def test_onnx(encoder, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    told = export.onnx(encoder, tmp_path / "e.onnx")
    session = runtime.InferenceSession(str(tmp_path / "e.onnx"), providers=["CPUExecutionProvider"])
    for rows in (1, 5):
        found = session.run(["embedding"], {"inputs": images(rows)})[0]
        np.testing.assert_allclose(found, encoder(images(rows), training=False), atol=1e-5)
    assert told.difference <= 1e-5 and told.cosine > 0.99999
    assert [one.name for one in tmp_path.iterdir()] == ["e.onnx"]


def test_constants_of_layers_are_in_the_file(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    random = np.random.default_rng(0)
    adapted = keras.layers.Normalization()
    adapted.adapt(random.random((50, 300)) + 2)
    given = keras.layers.Normalization(mean=random.random(300), variance=random.random(300) + 1)
    encoder = keras.Sequential([keras.Input((300,)), adapted, given, keras.layers.Dense(4)])
    assert export.onnx(encoder, tmp_path / "e.onnx").difference <= 1e-4


def test_several_inputs(tmp_path):
    assert export.litert(several_inputs(), tmp_path / "m.tflite", "float32").difference <= 1e-5
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    assert export.onnx(several_inputs(), tmp_path / "m.onnx").difference <= 1e-5
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"))
    assert {one.name for one in session.get_inputs()} == {"image", "text"}


@pytest.mark.parametrize("convert, ending", [(export.litert, ".tflite"), (export.onnx, ".onnx")])
def test_too_large_a_difference_and_bad_arguments_write_nothing(
    encoder, tmp_path, convert, ending, monkeypatch
):
    if ending == ".onnx":
        pytest.importorskip("tf2onnx")
        pytest.importorskip("onnxruntime")
    path = tmp_path / f"e{ending}"
    other = keras.models.clone_model(encoder)  # other weights, in the place of what was converted
    from keras_metric.export import verification

    real = verification.embed
    with monkeypatch.context() as patched:
        patched.setattr(verification, "embed", lambda _, ready: real(other, ready))
        with pytest.raises(
            export.VerificationError, match=f"e{ending} gives embeddings that differ"
        ):
            convert(encoder, path)
    with pytest.raises(ValueError, match=f"`path`.*must end in {ending}"):
        convert(encoder, tmp_path / "e.model")
    with pytest.raises(ValueError, match="`inputs`"):
        convert(encoder, path, inputs=np.ones((2, 9, 9, 1), "float32"))
    with pytest.raises(ValueError, match="`tolerance`"):
        convert(encoder, path, tolerance=-1)
    with pytest.raises(TypeError, match="`encoder`"):
        convert(3, path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        convert(encoder, path)
    assert path.read_text() == "mine"


def test_bad_precision_and_ranges_without_data(encoder, tmp_path):
    with pytest.raises(ValueError, match="`precision` of litert.*float16"):
        export.litert(encoder, tmp_path / "e.tflite", "int4")
    with pytest.raises(ValueError, match="`inputs` of litert must be given"):
        export.litert(encoder, tmp_path / "e.tflite", "int8")


def test_the_extra_is_named(encoder, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match="keras-metric\\[onnx\\]"):
        export.onnx(encoder, tmp_path / "e.onnx")
