"""Encoders trained on JAX or PyTorch, exported from there."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.parametrize("backend", ["jax", "torch"])

WAY_OVER = """
import json, sys
import keras, numpy as np, tensorflow as tf
import keras_metric
from keras_metric import export, layers
folder = sys.argv[1]

@keras.saving.register_keras_serializable(package="tests")
class Mine(keras.layers.Layer):
    pass

encoder = keras.Sequential(
    [keras.Input((4,)), keras.layers.Dense(3, "gelu"), keras.layers.BatchNormalization(), layers.Normalize()]
)
encoder.compile("sgd", loss="mse")
x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
encoder.fit(x, np.zeros((16, 3)), verbose=0)

def parse(texts):
    return tf.strings.to_number(tf.strings.split(texts).to_tensor(shape=(None, 4)))

texts = np.array([" ".join(map(str, row)) for row in x[:3]])
index = keras_metric.index.Index("euclidean")
index.add(np.eye(3), ids=["a", "b", "c"])
version = export.saved_model(
    encoder, folder, preprocessing=parse, index=index, threshold=0.2, warmup=texts, k=2
)
report = export.verify(version, encoder, texts)
said = ""
if keras.backend.backend() == "jax":
    try:
        export.saved_model(keras.Sequential([keras.Input((4,)), Mine()]), folder)
    except RuntimeError as error:
        said = str(error)
else:
    said = str(export.litert(encoder, folder + ".tflite", "float32", x))
card = json.loads((version / "model_card.json").read_text())
print(json.dumps({
    "backend": keras.backend.backend(), "version": version.name, "said": said, "differences": report.differences,
    "card": card["versions"]["backend_of_encoder"],
    "warmup": (version / "assets.extra/tf_serving_warmup_requests").exists(),
}))
"""


def test_an_encoder_crosses_over(backend, tmp_path):
    pytest.importorskip(backend)
    done = subprocess.run(
        [sys.executable, "-c", WAY_OVER, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["backend"] == seen["card"] == backend
    assert seen["version"] == "1" and seen["warmup"]
    assert set(seen["differences"]) == {
        "serving_default", "embed", "similarity", "search", "match",
    }  # fmt: skip
    assert max(seen["differences"].values()) <= 1e-5
    if backend == "jax":
        assert "Mine" in seen["said"] and "register" in seen["said"]
    else:
        assert "model.tflite" in seen["said"] and "16 rows differ by" in seen["said"]
    assert {entry.name for entry in (tmp_path / "model").iterdir()} == {"1"}
