"""All losses and layers at once in one model of many outputs: trained in mixed precision, saved, loaded elsewhere."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_metric import layers, losses
from tests.losses.cases import CLASSES, DIMENSIONS, GRADED, LABELS, kind_of, make
from tests.support import BACKEND, numpy

ROWS = len(LABELS)
EVERY = losses.LOSSES.names()
INTEGERS = "int32" if BACKEND == "jax" else "int64"
X = np.random.default_rng(0).normal(size=(ROWS, 6)).astype("float32")


def head(name, x):
    """A trained output of the kind that a loss takes, named after it."""
    kind = kind_of(name)
    if kind == "embedding":
        return keras.layers.Dense(DIMENSIONS, name=name)(x)
    if kind == "proxy":
        norms = name == "ada_face"
        embedding = keras.layers.Dense(DIMENSIONS)(x)
        return layers.ProxySimilarity(CLASSES, return_norms=norms, name=name)(embedding)
    towers = 3 if kind == "triplet" else 2
    stacked = keras.layers.Dense(towers * DIMENSIONS)(x)
    if kind == "tower":
        return keras.layers.Reshape((towers, DIMENSIONS), name=name)(stacked)
    stacked = keras.layers.Reshape((towers, DIMENSIONS))(stacked)
    return layers.EmbeddingDistance(name=name)(stacked)


def target(name):
    """`y_true` that a loss takes."""
    kind = kind_of(name)
    if kind in ("embedding", "proxy"):
        return LABELS.astype(INTEGERS)
    if name in GRADED:
        return np.linspace(0, 1, ROWS).astype("float32")
    return np.arange(ROWS).astype(INTEGERS) % (2 if kind == "pair" else ROWS)


TARGETS = {name: target(name) for name in EVERY}


def model_of_all_losses():
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="tanh")(inputs)
    model = keras.Model(inputs, {name: head(name, hidden) for name in EVERY})
    model.compile("sgd", loss={name: make(name) for name in EVERY})
    return model


def model_of_all_layers():
    """One path through every layer that the library has; also the two whose loss they add themselves."""
    x = keras.Input((6,), name="x")
    labels = keras.Input((), dtype=INTEGERS, name="labels")
    joined = layers.JoinBatches()([x, layers.MahalanobisMetric(6)(x)])
    towers = layers.StackTowers(2)(layers.Normalize()(joined))
    same = layers.DistanceSimilarity()(layers.EmbeddingDistance()(towers))
    pooled = layers.GeneralizedMeanPooling()(keras.layers.Reshape((3, 2))(x))
    memory = layers.CrossBatchMemory(20, "lifted_structure")([x, labels])
    learned = layers.LearnedBoundary(CLASSES)([memory, labels])
    classes = layers.LearnedScale(5.0)(layers.ProxySimilarity(CLASSES, 2, "soft")(learned))
    model = keras.Model([x, labels], {"same": same, "pooled": pooled, "classes": classes})
    model.compile("sgd", loss={"classes": losses.CosFaceLoss(ignore_id=4)})
    return model


def test_every_layer_with_weights_or_inputs_of_its_own_is_in_the_model():
    here = {type(layer) for layer in model_of_all_layers().layers}
    room = "keras_metric.layers."
    others = {cls for _, cls in layers.LAYERS.items() if cls not in here}
    # Layers of preprocessing are tested with what they prepare.
    preprocessing = ("standardize", "median_denoise", "log_mel_spectrogram")
    assert {cls.__module__.removeprefix(room) for cls in others} <= set(preprocessing)


@pytest.fixture(scope="module")
def trained():
    """The model of all losses after some steps in mixed precision, its weights before, and the history."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = model_of_all_losses()
        before = [numpy(w) for w in model.trainable_weights]
        history = model.fit(X, TARGETS, batch_size=ROWS, epochs=20, verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    return model, before, history


def test_all_losses_train_in_mixed_float16(trained):
    """Through `fit`, with Keras' own loss scaling: a NaN in one gradient would stop them all."""
    model, before, history = trained
    for name in EVERY:
        assert np.isfinite(history[f"{name}_loss"]).all(), name
    for variable, old in zip(model.trainable_weights, before, strict=True):
        new = numpy(variable)
        assert np.isfinite(new).all(), variable.path
        assert variable.path.endswith("bias") or (new != old).any(), variable.path


LOADER = """
import json, sys
import numpy as np
import keras
import keras_metric
data = dict(np.load(sys.argv[1]))
found = {}
for path in sys.argv[2:]:
    model = keras.saving.load_model(path)
    inputs = {i.name: data[i.name] for i in model.inputs} if len(model.inputs) > 1 else data["x"]
    targets = {name: data["y/" + name] for name in model.loss}
    found[path] = model.evaluate(inputs, targets, batch_size=len(data["x"]), verbose=0, return_dict=True)
print(json.dumps(found))
"""


@pytest.fixture
def files(trained, tmp_path):
    """Two compiled models on disk with what `evaluate` gives here, and their data."""
    labels = LABELS.astype(INTEGERS)
    everything = {f"y/{name}": y for name, y in {**TARGETS, "classes": labels}.items()}
    np.savez(tmp_path / "data.npz", x=X, labels=labels, **everything)
    with_layers = model_of_all_layers()
    with_layers.train_on_batch({"x": X, "labels": labels}, {"classes": labels})
    expected = {}
    for name, model, inputs, targets in (
        ("losses", trained[0], X, TARGETS),
        ("layers", with_layers, {"x": X, "labels": labels}, {"classes": labels}),
    ):
        path = str(tmp_path / f"{name}.keras")
        model.save(path)
        expected[path] = model.evaluate(
            inputs, targets, batch_size=ROWS, verbose=0, return_dict=True
        )
    return tmp_path / "data.npz", expected


def test_compiled_models_load_in_a_fresh_process_without_custom_objects(files):
    data, expected = files
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(data), *expected],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for path, values in expected.items():
        assert set(found[path]) == set(values)
        for name, value in values.items():
            np.testing.assert_allclose(found[path][name], value, rtol=1e-4, err_msg=name)
