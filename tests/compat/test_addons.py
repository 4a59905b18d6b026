"""The drop-ins for TensorFlow Addons: signatures, what differs on purpose, saving, bad input."""

import inspect
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from keras_metric import losses
from keras_metric.compat import addons
from tests.support import BACKEND, numpy, value_and_gradient

RNG = np.random.default_rng(5)
LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2])
X = RNG.normal(size=(8, 4)).astype("float32")
IDS = [addons.TripletSemiHardLoss, addons.TripletHardLoss, addons.LiftedStructLoss]
SIGNATURES = {
    "TripletSemiHardLoss": [("margin", 1.0), ("distance_metric", "L2"), ("name", None)],
    "TripletHardLoss": [
        ("margin", 1.0),
        ("soft", False),
        ("distance_metric", "L2"),
        ("name", None),
    ],
    "ContrastiveLoss": [
        ("margin", 1.0),
        ("reduction", "sum_over_batch_size"),
        ("name", "contrastive_loss"),
    ],
    "NpairsLoss": [("name", "npairs_loss")],
    "NpairsMultilabelLoss": [("name", "npairs_multilabel_loss")],
    "LiftedStructLoss": [("margin", 1.0), ("name", None)],
    "triplet_semihard_loss": [("margin", 1.0), ("distance_metric", "L2")],
    "triplet_hard_loss": [("margin", 1.0), ("soft", False), ("distance_metric", "L2")],
    "contrastive_loss": [("margin", 1.0)],
    "lifted_struct_loss": [("margin", 1.0)],
    "npairs_loss": [],
    "npairs_multilabel_loss": [],
}
BATCHES = {
    "TripletSemiHardLoss": (LABELS, X),
    "TripletHardLoss": (LABELS, X),
    "LiftedStructLoss": (LABELS, X),
    "ContrastiveLoss": (LABELS % 2, np.abs(X[:, 0])),
    "NpairsLoss": (LABELS, X @ X.T),
    "NpairsMultilabelLoss": (np.eye(3, dtype="int64")[LABELS], X @ X.T),
}


@keras.saving.register_keras_serializable(package="tests")
def city_blocks(x):
    return ops.sum(ops.abs(x[:, None] - x[None]), axis=-1)


def log_softmax(row):
    row = np.asarray(row, "float64")
    return row - row.max() - np.log(np.sum(np.exp(row - row.max())))


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_stand_where_addons_has_them(name):
    parameters = list(inspect.signature(getattr(addons, name)).parameters.values())
    if name.islower():
        rows = ["labels", "embeddings"] if name == "lifted_struct_loss" else ["y_true", "y_pred"]
        assert [p.name for p in parameters[:2]] == rows
        parameters = parameters[2:]
    wanted = SIGNATURES[name]
    assert [(p.name, p.default) for p in parameters[: len(wanted)]] == wanted
    assert getattr(addons.losses, name) is getattr(addons, name)


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_npairs_multilabel_equals_a_loop(shift):
    classes = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [1, 1, 1, 0], [0, 1, 0, 1]])
    s = 3 * RNG.normal(size=(5, 5)) + shift
    terms = []
    for i in range(5):
        shared = np.array([np.sum(classes[i] & classes[j]) for j in range(5)])
        terms.append(-np.sum(shared / shared.sum() * log_softmax(s[i])))
    value = addons.npairs_multilabel_loss(classes, s.astype("float32"))
    np.testing.assert_allclose(numpy(value), np.mean(terms), rtol=1e-5)


def test_npairs_multilabel_leaves_rows_without_a_class_out():
    classes = np.array([[1, 0], [0, 0], [1, 1]])
    s = RNG.normal(size=(3, 3)).astype("float32")
    first = -np.sum(np.array([1, 0, 1]) / 2 * log_softmax(s[0]))
    last = -np.sum(np.array([1, 0, 2]) / 3 * log_softmax(s[2]))
    loss = addons.NpairsMultilabelLoss()
    value, gradient = value_and_gradient(lambda x: loss(classes, x), s)
    np.testing.assert_allclose(value, (first + last) / 2, rtol=1e-5)
    assert not gradient[1].any()
    assert gradient[0].any()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="SparseTensor is TensorFlow's")
def test_npairs_multilabel_takes_sparse_labels():
    import tensorflow as tf

    y, s = BATCHES["NpairsMultilabelLoss"]
    dense = addons.npairs_multilabel_loss(y, s)
    assert numpy(addons.npairs_multilabel_loss(tf.sparse.from_dense(y), s)) == numpy(dense)


@pytest.mark.parametrize("cls", IDS)
@pytest.mark.parametrize(
    "labels", [np.zeros(8, int), np.arange(8)], ids=["one class", "all different"]
)
def test_batches_without_a_triplet_cost_nothing(cls, labels):
    value, gradient = value_and_gradient(lambda x: cls()(labels, x), X)
    assert value == 0
    assert not gradient.any()


def test_single_examples_are_left_out_of_the_hard_loss():
    labels = np.array([0, 0, 1, 1, 7])
    x = np.array([[0.0], [1.0], [4.0], [6.0], [5.0]], "float32")
    # Nearest negatives: 4, 3, 1 (the single example), 1. The single example itself is no anchor.
    terms = [max(0, 1 - 4 + 1), max(0, 1 - 3 + 1), 2 - 1 + 1, 2 - 1 + 1]
    np.testing.assert_allclose(
        numpy(addons.triplet_hard_loss(labels, x)), np.mean(terms), rtol=1e-6
    )


def test_soft_margin_does_not_overflow():
    x = np.array([[0.0], [500.0], [1.0], [501.0]], "float32")
    loss = addons.TripletHardLoss(soft=True)
    value, gradient = value_and_gradient(lambda e: loss(np.array([0, 0, 1, 1]), e), x)
    np.testing.assert_allclose(value, 499, rtol=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("cls", [*IDS, addons.NpairsLoss])
def test_large_ids_stay_different(cls):
    x = X @ X.T if cls is addons.NpairsLoss else X
    small, large = cls()(LABELS, x), cls()(LABELS + 2**24, x)
    assert numpy(small) == numpy(large)
    assert numpy(small) == numpy(cls()((LABELS + 2**40)[:, None], x))
    assert numpy(small) > 0


@pytest.mark.parametrize("name", BATCHES)
def test_reductions_and_sample_weights(name):
    cls, (y, x) = getattr(addons, name), BATCHES[name]
    rows = numpy(cls(reduction="none")(y, x))
    assert rows.shape == (8,)
    weights = np.arange(8, dtype="float32")
    for reduction, expected in (
        ("sum_over_batch_size", rows.mean()),
        ("auto", rows.mean()),
        ("sum", rows.sum()),
    ):
        np.testing.assert_allclose(numpy(cls(reduction=reduction)(y, x)), expected, rtol=1e-5)
    weighted = numpy(cls()(y, x, sample_weight=weights))
    np.testing.assert_allclose(weighted, np.sum(rows * weights) / 8, rtol=1e-5)


@pytest.mark.parametrize("name", BATCHES)
def test_config_round_trip(name):
    y, x = BATCHES[name]
    arguments = {} if "Npairs" in name else {"margin": 0.6}
    if "Triplet" in name:
        arguments["distance_metric"] = "angular"
    if name == "TripletHardLoss":
        arguments["soft"] = True
    loss = getattr(addons, name)(**arguments, name="mine", reduction="sum")
    saved = keras.saving.serialize_keras_object(loss)
    assert saved["registered_name"] == f"keras_metric.compat.addons>{name}"
    again = keras.saving.deserialize_keras_object(saved)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert {**again.get_config(), **arguments} == again.get_config()
    assert numpy(again(y, x)) == numpy(loss(y, x))


def test_names_do_not_collide_with_our_losses():
    for cls in (addons.ContrastiveLoss, losses.ContrastiveLoss):
        assert keras.saving.get_registered_object(keras.saving.get_registered_name(cls)) is cls
    assert not any(
        cls.__module__.startswith("keras_metric.compat") for _, cls in losses.LOSSES.items()
    )


def test_a_model_reloads_in_a_fresh_process(tmp_path):
    path = tmp_path / "model.keras"
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    model.compile("sgd", loss=addons.TripletSemiHardLoss(0.7, "squared-L2"))
    model.fit(X, LABELS, batch_size=8, verbose=0)
    model.save(path)
    code = f"""
import keras, numpy
import keras_metric.compat.addons
model = keras.saving.load_model({str(path)!r})
print(model.loss.margin, model.loss.distance_metric, type(model.loss).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "0.7 squared-L2 TripletSemiHardLoss"


@pytest.mark.parametrize("cls", [addons.TripletSemiHardLoss, addons.TripletHardLoss])
def test_a_function_as_distance(cls):
    miner = "semi_hard" if cls is addons.TripletSemiHardLoss else "hardest"
    ours = losses.TripletLoss(1.0, "manhattan", miner=miner, averaging="terms")
    loss = cls(distance_metric=city_blocks)
    np.testing.assert_allclose(numpy(loss(LABELS, X)), numpy(ours(LABELS, X)), rtol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.distance_metric is city_blocks
    assert numpy(again(LABELS, X)) == numpy(loss(LABELS, X))


def test_a_function_without_a_registered_name_trains_but_does_not_save():
    loss = addons.TripletSemiHardLoss(distance_metric=lambda x: city_blocks(x))
    assert numpy(loss(LABELS, X)) > 0
    with pytest.raises(ValueError, match="register_keras_serializable"):
        loss.get_config()


def test_graph_eager_and_compiled_agree():
    x, y = X, LABELS
    values = []
    for arguments in ({"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}):
        if BACKEND == "torch" and arguments.get("jit_compile"):
            continue
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dense(3, kernel_initializer="ones")(inputs))
        model.compile("sgd", loss=addons.TripletHardLoss(), **arguments)
        values.append(model.evaluate(x, y, batch_size=8, verbose=0))
    np.testing.assert_allclose(values, values[0], rtol=1e-5)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: addons.TripletHardLoss(-1), ValueError, "`margin` of TripletHardLoss"),
        (lambda: addons.TripletSemiHardLoss(distance_metric="l2"), ValueError, "squared-L2"),
        (lambda: addons.TripletHardLoss(distance_metric=2), TypeError, "`distance_metric`"),
        (
            lambda: addons.TripletHardLoss(distance_metric=lambda x: x)(LABELS, X),
            ValueError,
            "matrix",
        ),
        (lambda: addons.NpairsLoss()(LABELS, X), ValueError, "matrix of similarities"),
        (lambda: addons.NpairsLoss()(LABELS[:7], X @ X.T), ValueError, "same number of rows"),
        (lambda: addons.NpairsMultilabelLoss()(LABELS, X @ X.T), ValueError, "multi-hot"),
        (lambda: addons.ContrastiveLoss()(LABELS, X), ValueError, r"\(batch, 1\)"),
    ],
)
def test_bad_input_says_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        make()
