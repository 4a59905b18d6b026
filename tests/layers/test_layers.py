"""Layers against loops in float64, their gradients at edges, and their way through a file."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_metric import layers
from tests.support import assert_slopes, numpy, value_and_gradient

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 5))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def with_weights(layer, shape, *values):
    layer.build(shape)
    layer.set_weights([np.asarray(v, "float32") for v in values])
    return layer


PROXIES = RNG.normal(size=(12, 5))


def proxy_similarity(x, pooling, gamma):
    out = np.zeros((len(x), 4))
    for i, row in enumerate(unit(x)):
        for c in range(4):
            s = np.array([row @ unit(PROXIES[3 * c + k]) for k in range(3)])
            weights = np.exp(s / gamma) / np.exp(s / gamma).sum()
            out[i, c] = s.max() if pooling == "max" else (weights * s).sum()
    return out


@pytest.mark.parametrize("pooling", ["max", "soft"])
@pytest.mark.parametrize("gamma", [0.1, 1.0])
def test_proxy_similarity(pooling, gamma):
    layer = layers.ProxySimilarity(4, 3, pooling, gamma)
    with_weights(layer, (None, 5), PROXIES)
    np.testing.assert_allclose(
        numpy(layer(X)), proxy_similarity(X, pooling, gamma), rtol=1e-4, atol=1e-6
    )
    upstream = RNG.normal(size=(6, 4)).astype("float32")
    _, gradient = value_and_gradient(lambda x: layer(x) * ops.convert_to_tensor(upstream), X)
    assert_slopes(lambda x: np.sum(proxy_similarity(x, pooling, gamma) * upstream), X, gradient)


def test_proxy_similarity_hands_norms_over():
    layer = layers.ProxySimilarity(3, return_norms=True)
    out = numpy(layer(X.astype("float32")))
    assert out.shape == (6, 4)
    np.testing.assert_allclose(out[:, -1], np.linalg.norm(X, axis=1), rtol=1e-6)
    huge = numpy(layer(1e25 * X.astype("float32")))
    np.testing.assert_allclose(huge[:, -1], 1e25 * np.linalg.norm(X, axis=1), rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_learning_rate_multiplier_is_a_learning_rate(optimizer):
    """A multiplier of 10 moves the proxies as 10 times the learning rate would."""
    moved = []
    for multiplier, rate in ((10.0, 0.01), (1.0, 0.1)):
        layer = layers.ProxySimilarity(12, learning_rate_multiplier=multiplier)
        with_weights(layer, (None, 5), PROXIES / multiplier)
        inputs = keras.Input((5,))
        model = keras.Model(inputs, layer(inputs))
        model.compile(getattr(keras.optimizers, optimizer)(rate), loss="mse")
        model.fit(X, np.ones((6, 12)), batch_size=6, epochs=3, verbose=0)
        moved.append(multiplier * numpy(layer.proxies))
    assert np.abs(moved[1] - PROXIES).max() > 1e-3
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-3, atol=1e-4)


def test_normalize():
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [3e-30, 4e-30], [3e30, 4e30]])
    expected = [[0.6, 0.8], [0, 0], [0.6, 0.8], [0.6, 0.8]]
    layer = layers.Normalize()
    np.testing.assert_allclose(numpy(layer(rows.astype("float32"))), expected, rtol=1e-6)
    _, gradient = value_and_gradient(layer, rows[:2])
    # d(x + y)/|v| at (3, 4): (1, 1)/5 − 7 (3, 4)/125.
    np.testing.assert_allclose(
        gradient, [[0.2 - 21 / 125, 0.2 - 28 / 125], [0, 0]], rtol=1e-4, atol=1e-7
    )


def test_learned_scale_of_similarities():
    layer = layers.LearnedScale(4.0, -1.0)
    np.testing.assert_allclose(numpy(layer(X.astype("float32"))), 4 * X - 1, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="`inputs` of LearnedScale"):
        layers.LearnedScale()(np.zeros((2, 2, 2, 2), "float32"))


def test_learned_scale_of_towers_is_in_their_inner_product():
    towers = RNG.normal(size=(4, 3, 5))
    out = numpy(layers.LearnedScale(4.0, -1.0)(towers.astype("float32")))
    assert out.shape == (4, 3, 6)
    for i in range(4):
        for j in range(4):
            for t in (1, 2):
                s = unit(towers[i, 0]) @ unit(towers[j, t])
                np.testing.assert_allclose(out[i, 0] @ out[j, t], 4 * s - 1, rtol=1e-4, atol=1e-5)


def test_learned_scale_stays_below_its_maximum():
    inputs = keras.Input((3,))
    layer = layers.LearnedScale(9.9, max_scale=10.0)
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(10.0), loss="mse")
    model.fit(np.ones((4, 3)), 1e3 * np.ones((4, 3)), verbose=0)
    np.testing.assert_allclose(math.exp(numpy(layer.log_scale)), 10.0, rtol=1e-5)


@pytest.mark.parametrize("rank", [None, 2])
def test_mahalanobis_metric(rank):
    layer = layers.MahalanobisMetric(rank)
    x = X.astype("float32")
    np.testing.assert_allclose(numpy(layer(x)), x[:, : rank or 5])
    kernel = RNG.normal(size=(5, rank or 5))
    layer.set_weights([kernel.astype("float32")])
    difference = X[0] - X[1]
    expected = math.sqrt(difference @ (kernel @ kernel.T) @ difference)
    out = numpy(layer(x))
    np.testing.assert_allclose(np.linalg.norm(out[0] - out[1]), expected, rtol=1e-5)
    np.testing.assert_allclose(numpy(layer.matrix()), kernel @ kernel.T, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="`rank` of MahalanobisMetric must be <= the 5 dimensions"):
        layers.MahalanobisMetric(6)(x)


def generalized_mean(x, p, epsilon=1e-6):
    return np.mean(np.maximum(x, epsilon) ** p, axis=(1, 2)) ** (1 / p)


@pytest.mark.parametrize("p", [1.0, 3.0, 7.5])
def test_generalized_mean_pooling(p):
    x = RNG.normal(size=(2, 3, 4, 5)) + 1
    layer = layers.GeneralizedMeanPooling(p)
    np.testing.assert_allclose(numpy(layer(x.astype("float32"))), generalized_mean(x, p), rtol=1e-5)
    _, gradient = value_and_gradient(layer, x)
    assert_slopes(lambda e: generalized_mean(e, p).sum(), x, gradient)
    _, slope = value_and_gradient(lambda q: _pooled(x, q), np.array([p]))
    step = 1e-6
    expected = (generalized_mean(x, p + step).sum() - generalized_mean(x, p - step).sum()) / (
        2 * step
    )
    np.testing.assert_allclose(slope[0], expected, rtol=1e-3)


def _pooled(x, p):
    """The layer's formula with p as a tensor, through the layer's own `call`."""
    layer = layers.GeneralizedMeanPooling()
    holder = type("Holder", (), {"p": p[0], "epsilon": layer.epsilon})()
    return layers.GeneralizedMeanPooling.call(holder, ops.convert_to_tensor(x.astype("float32")))


def test_generalized_mean_pooling_at_edges():
    layer = layers.GeneralizedMeanPooling(10.0)
    huge = np.full((1, 2, 2, 1), 1e20, "float32")
    np.testing.assert_allclose(numpy(layer(huge)), [[1e20]], rtol=1e-4)
    value, gradient = value_and_gradient(layer, -np.ones((1, 2, 2, 1)))
    np.testing.assert_allclose(value, 1e-6, rtol=1e-3)
    assert not gradient.any()
    with pytest.raises(ValueError, match="`p` of GeneralizedMeanPooling"):
        layers.GeneralizedMeanPooling(0.5)
    with pytest.raises(ValueError, match="places"):
        layers.GeneralizedMeanPooling()(np.zeros((2, 3), "float32"))


def test_distance_similarity_falls_with_distance():
    d = np.array([[0.0], [1.0], [2.0]], "float32")
    out = numpy(layers.DistanceSimilarity(scale=0.5, bias=1.0)(d))
    np.testing.assert_allclose(
        out[:, 0], [1 / (1 + math.exp(0.5 * x * x - 1)) for x in (0, 1, 2)], rtol=1e-6
    )
    assert (np.diff(out[:, 0]) < 0).all()
    with pytest.raises(ValueError, match="`scale` of DistanceSimilarity"):
        layers.DistanceSimilarity(scale=-1)


def test_distance_similarity_keeps_its_scale_from_becoming_negative():
    inputs = keras.Input((1,))
    layer = layers.DistanceSimilarity(0.1)
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(5.0), loss="binary_crossentropy")
    model.fit(np.full((8, 1), 2.0), np.ones(8), verbose=0)  # "same" and far apart: wants it below 0
    assert numpy(layer.scale) == 0
    assert numpy(layer.bias) > 0


def test_embedding_distance():
    towers = RNG.normal(size=(4, 3, 5))
    expected = np.stack(
        [np.linalg.norm(towers[:, 0] - towers[:, t], axis=1) for t in (1, 2)], axis=1
    )
    layer = layers.EmbeddingDistance()
    np.testing.assert_allclose(numpy(layer(towers.astype("float32"))), expected, rtol=1e-5)
    parts = [towers[:, t].astype("float32") for t in range(3)]
    np.testing.assert_allclose(numpy(layer(parts)), expected, rtol=1e-5)
    for wrong in (np.zeros((4, 5), "float32"), np.zeros((4, 1, 5), "float32")):
        with pytest.raises(ValueError, match="2 towers or more"):
            layers.EmbeddingDistance()(wrong)


INSTANCES = {
    "cross_batch_memory": lambda: layers.CrossBatchMemory(7, "contrastive", weight=0.5),
    "distance_similarity": lambda: layers.DistanceSimilarity(2.0, 0.5),
    "embedding_distance": lambda: layers.EmbeddingDistance("manhattan"),
    "generalized_mean_pooling": lambda: layers.GeneralizedMeanPooling(4.0, 1e-3),
    "join_batches": layers.JoinBatches,
    "learned_boundary": lambda: layers.LearnedBoundary(4, regularization=0.1),
    "learned_scale": lambda: layers.LearnedScale(3.0, 1.0, 50.0),
    "log_mel_spectrogram": lambda: layers.LogMelSpectrogram(8000, 16, 256, 128),
    "mahalanobis_metric": lambda: layers.MahalanobisMetric(2),
    "median_denoise": lambda: layers.MedianDenoise(5),
    "normalize": layers.Normalize,
    "proxy_similarity": lambda: layers.ProxySimilarity(3, 2, "soft", 0.2, True, 5.0),
    "stack_towers": lambda: layers.StackTowers([1, 2]),
    "standardize": lambda: layers.Standardize(mean=0.5, variance=4.0),
}


def test_every_layer_is_covered():
    assert sorted(INSTANCES) == layers.LAYERS.names()


@pytest.mark.parametrize("name", INSTANCES)
def test_config_round_trip(name):
    layer = INSTANCES[name]()
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(layer)
    assert keras.saving.serialize_keras_object(again) == config


@pytest.mark.parametrize(
    "name",
    ["distance_similarity", "learned_scale", "mahalanobis_metric", "normalize", "proxy_similarity"],
)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_keras_file_and_mixed_precision(name, policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((5,))
        model = keras.Model(inputs, INSTANCES[name]()(keras.layers.Dense(5)(inputs)))
    finally:
        keras.config.set_dtype_policy("float32")
    out = model.predict(X, verbose=0)
    assert out.dtype == np.float32
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), out)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: layers.ProxySimilarity(0), "`num_classes` of ProxySimilarity"),
        (lambda: layers.ProxySimilarity(3, pooling="mean"), "`pooling` of ProxySimilarity"),
        (lambda: layers.ProxySimilarity(3, gamma=0), "`gamma` of ProxySimilarity"),
        (
            lambda: layers.ProxySimilarity(3)(np.zeros((2, 3, 4), "float32")),
            "ProxySimilarity must have the shape",
        ),
        (lambda: layers.LearnedScale(0), "`scale` of LearnedScale"),
        (lambda: layers.LearnedScale(10, max_scale=5), "`max_scale` of LearnedScale"),
        (lambda: layers.CrossBatchMemory(0, "triplet"), "`size` of CrossBatchMemory"),
        (lambda: layers.StackTowers(0), "`towers` of StackTowers"),
    ],
)
def test_bad_arguments(build, words):
    with pytest.raises(ValueError, match=words):
        build()
