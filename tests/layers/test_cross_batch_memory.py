"""The memory against a simulation by loops, through files, and with every loss."""

import keras
import numpy as np
import pytest

from keras_metric import layers, losses, models
from tests.losses.cases import embedding_losses, make
from tests.support import BACKEND, numpy

# JAX holds ids in 32 bits, also in Keras itself.
BIG = 2**60 + 1 if BACKEND != "jax" else 2**30 + 1
RNG = np.random.default_rng(0)
X = RNG.normal(size=(13, 4)).astype("float32")
Y = BIG + np.array([0, 1, 0, 2, 1, 1, 0, 2, 3, 0, 1, 2, 9])
BATCHES = [slice(0, 5), slice(5, 8), slice(8, 13)]


class Still(keras.layers.Layer):
    """An encoder that gives its input, so that the memory's content is known."""

    def call(self, x):
        return 1.0 * x


def still_model(memory):
    inputs = keras.Input((X.shape[1],))
    model = models.with_memory(keras.Model(inputs, Still()(inputs)), memory)
    model.compile("sgd")
    return model


def contrastive(anchors, labels, references, reference_labels, own):
    """Mean over positive pairs of d² plus over negative pairs of [1 − d]+²; `own[i]` is the anchor's own column."""
    pulls, pushes = [], []
    for i, (x, y) in enumerate(zip(anchors, labels, strict=True)):
        for j, (other, z) in enumerate(zip(references, reference_labels, strict=True)):
            if j == own[i]:
                continue
            d = np.linalg.norm(x.astype("float64") - other)
            if y == z:
                pulls.append(d**2)
            else:
                pushes.append(max(0.0, 1 - d) ** 2)
    return (np.mean(pulls) if pulls else 0.0) + (np.mean(pushes) if pushes else 0.0)


@pytest.mark.parametrize("size", [2, 6, 40])
def test_the_loss_is_against_the_batch_and_the_last_rows(size):
    model = still_model(layers.CrossBatchMemory(size, "contrastive"))
    seen_x, seen_y = np.zeros((0, 4), "float32"), np.zeros(0, "int64")
    for rows in BATCHES:
        x, y = X[rows], Y[rows]
        kept = max(len(seen_x) - size, 0)
        references = np.concatenate([x, seen_x[kept:]])
        reference_labels = np.concatenate([y, seen_y[kept:]])
        expected = contrastive(x, y, references, reference_labels, np.arange(len(x)))
        for _ in range(2):  # evaluation reads the memory and leaves it alone
            loss = model.evaluate([x, y], batch_size=16, verbose=0)
            np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(model.train_on_batch([x, y]), expected, rtol=1e-4, atol=1e-6)
        seen_x, seen_y = np.concatenate([seen_x, x]), np.concatenate([seen_y, y])
    memory = model.layers[-1]
    filled = int(numpy(memory.filled))
    assert filled == min(size, 13)
    np.testing.assert_array_equal(numpy(memory.memory_labels)[-filled:], Y[-filled:])
    np.testing.assert_array_equal(numpy(memory.memory)[-filled:], X[-filled:])


def test_saved_and_resumed_exactly(tmp_path):
    def trainer():
        keras.utils.set_random_seed(3)
        encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model = models.with_memory(encoder, layers.CrossBatchMemory(6, "triplet"))
        model.compile(keras.optimizers.Adam(0.01))
        return model

    whole = trainer()
    for rows in BATCHES:
        whole.train_on_batch([X[rows], Y[rows]])
    first = trainer()
    first.train_on_batch([X[BATCHES[0]], Y[BATCHES[0]]])
    first.save(tmp_path / "m.keras")
    resumed = keras.models.load_model(tmp_path / "m.keras")
    for rows in BATCHES[1:]:
        resumed.train_on_batch([X[rows], Y[rows]])
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", embedding_losses())
def test_every_embedding_loss_works(name):
    keras.utils.set_random_seed(0)
    arguments = {"dims": (2, 3)} if name == "matryoshka" else {}
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), layers.Normalize()])
    model = models.with_memory(encoder, layers.CrossBatchMemory(6, make(name, **arguments)))
    model.compile("adam", jit_compile=BACKEND == "jax")
    before = encoder.get_weights()[0]
    history = model.fit([X, Y], batch_size=5, epochs=2, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(encoder.get_weights()[0]).all()
    assert np.abs(encoder.get_weights()[0] - before).max() > 0
    assert int(numpy(model.layers[-1].filled)) == 6


@pytest.mark.skipif(
    BACKEND != "tensorflow", reason="JAX compiles always, and this layer not on torch"
)
def test_compiled_equals_plain():
    histories = []
    for compiled in (False, True):
        keras.utils.set_random_seed(0)
        encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model = models.with_memory(encoder, layers.CrossBatchMemory(6, "nt_xent"))
        model.compile("adam", jit_compile=compiled)
        history = model.fit([X, Y], batch_size=5, epochs=3, shuffle=False, verbose=0)
        histories.append(history.history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-4)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.function is TensorFlow's")
@pytest.mark.parametrize(
    "layer", [layers.CrossBatchMemory(6, "triplet"), layers.LearnedBoundary(3)], ids=repr
)
def test_a_replica_may_get_no_row(layer):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, 4]), tf.TensorSpec([None], "int64")])
    def added(x, labels):
        layer([x, labels])
        return tf.add_n(layer.losses)

    assert np.isfinite(added(X[:0], Y[:0]))


def test_ignored_ids_and_multi_hot_labels():
    model = still_model(layers.CrossBatchMemory(6, losses.ContrastiveLoss(ignore_id=int(BIG) + 9)))
    for rows in BATCHES[:2]:
        model.train_on_batch([X[rows], Y[rows]])
    x, y = X[8:13], Y[8:13]
    expected = contrastive(
        x[:4], y[:4], np.concatenate([x[:4], X[2:8]]), np.concatenate([y[:4], Y[2:8]]), range(4)
    )
    model.reset_metrics()  # what comes back is else a mean over batches, by some versions of Keras
    np.testing.assert_allclose(model.train_on_batch([x, y]), expected, rtol=1e-4)

    hot = np.eye(10, dtype="float32")[(Y - BIG).astype(int)]
    inputs = keras.Input((4,))
    memory = layers.CrossBatchMemory(6, losses.ContrastiveLoss(relation="overlap"))
    model = models.with_memory(keras.Model(inputs, Still()(inputs)), memory, num_classes=10)
    model.compile("sgd")
    model.train_on_batch([X[:8], hot[:8]])
    expected = contrastive(x, y, np.concatenate([x, X[2:8]]), np.concatenate([y, Y[2:8]]), range(5))
    model.reset_metrics()
    np.testing.assert_allclose(model.train_on_batch([x, hot[8:13]]), expected, rtol=1e-4)


def test_losses_of_other_kinds_are_refused():
    for loss in ("arc_face", "siamese_triplet", losses.MatryoshkaLoss("info_nce", [2])):
        with pytest.raises(TypeError, match="`loss` of CrossBatchMemory"):
            layers.CrossBatchMemory(8, loss)


def margin_loss(x, labels, boundaries, margin):
    terms = []
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                sign = 1 if labels[i] == labels[j] else -1
                terms.append(
                    max(0.0, margin + sign * (np.linalg.norm(x[i] - x[j]) - boundaries[labels[i]]))
                )
    active = [t for t in terms if t > 0]
    return np.mean(active)


def test_learned_boundary():
    labels = np.array([0, 0, 1, 1, 2])
    layer = layers.LearnedBoundary(3, losses.MarginLoss(0.3, miner="all"))
    model = still_model(layer)
    x = X[:5] / np.linalg.norm(X[:5], axis=1, keepdims=True)
    boundaries = np.array([0.8, 1.2, 1.5], "float32")
    layer.set_weights([boundaries])
    expected = margin_loss(x, labels, boundaries, 0.3)
    np.testing.assert_allclose(model.evaluate([x, labels], verbose=0), expected, rtol=1e-5)
    model.train_on_batch([x, labels])
    assert np.abs(layer.get_weights()[0] - boundaries).max() > 1e-5
    with pytest.raises(TypeError, match="must be a MarginLoss"):
        layers.LearnedBoundary(3, "triplet")
    with pytest.raises(
        ValueError, match="`labels` of LearnedBoundary must be class ids from 0 to 2"
    ):
        layer([x, labels + 1])


def test_ignored_rows_move_no_boundary():
    """Neither by a pair nor by the regulariser."""
    loss = losses.MarginLoss(0.3, miner="all", ignore_id=-1)
    layer = layers.LearnedBoundary(3, loss, regularization=0.1)
    model = still_model(layer)
    model.train_on_batch([X[:5], np.array([-1, 1, 1, 2, -1])])
    assert layer.get_weights()[0][0] == np.float32(loss.boundary)
    assert (layer.get_weights()[0][1:] != np.float32(loss.boundary)).all()
