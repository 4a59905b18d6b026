"""Siamese, two-tower and training models: shapes, names, one run of each tower, files."""

import warnings

import keras
import numpy as np
import pytest

from keras_metric import layers, losses, models
from tests.support import BACKEND, numpy

RNG = np.random.default_rng(0)
A, B, C = (RNG.normal(size=(9, 6)).astype("float32") for _ in range(3))


class CountedDense(keras.layers.Dense):
    """Counts its calls with real rows, to see that a tower runs once."""

    seen = []

    def call(self, inputs):
        self.seen.append(inputs.shape[0])
        return super().call(inputs)


def encoder(name="backbone", width=3):
    inputs = keras.Input((6,))
    hidden = keras.layers.BatchNormalization()(inputs)
    return keras.Model(inputs, keras.layers.Dense(width)(hidden), name=name)


def assert_reloads(model, inputs, tmp_path):
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        again.predict(inputs, verbose=0), model.predict(inputs, verbose=0), rtol=1e-6, atol=1e-6
    )
    return again


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_siamese_pair(distance, tmp_path):
    tower = encoder()
    model = models.siamese_pair(tower, distance)
    assert model.get_layer("encoder") is tower
    a, b = tower.predict(A, verbose=0), tower.predict(B, verbose=0)
    if distance == "euclidean":
        expected = np.linalg.norm(a - b, axis=1)
    else:
        expected = 1 - (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    out = model.predict([A, B], verbose=0)
    assert out.shape == (9, 1)
    # 1 − cosine of like rows is a difference of near equals: float32 knows it to 1e-7, whatever its size.
    np.testing.assert_allclose(out[:, 0], expected, rtol=1e-5, atol=1e-6)
    again = assert_reloads(model, [A, B], tmp_path)
    np.testing.assert_allclose(again.get_layer("encoder").predict(A, verbose=0), a, rtol=1e-6)


def test_siamese_triplet_in_any_container(tmp_path):
    tower = encoder()
    model = models.siamese_triplet(tower)
    a, p, n = (tower.predict(x, verbose=0) for x in (A, B, C))
    expected = np.stack([np.linalg.norm(a - p, axis=1), np.linalg.norm(a - n, axis=1)], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for inputs in ([A, B, C], (A, B, C), {"anchor": A, "positive": B, "negative": C}):
            np.testing.assert_allclose(model.predict(inputs, verbose=0), expected, rtol=1e-5)
    assert_reloads(model, [A, B, C], tmp_path)


@pytest.mark.parametrize("jit", [False, True])
def test_training_trains_the_encoder_that_was_given(jit):
    if jit and BACKEND == "torch":
        pytest.skip("torch compiles with a compiler of C++, which tests do not ask for")
    tower = encoder()
    before = tower.get_weights()
    model = models.siamese_triplet(tower)
    model.compile("adam", loss=losses.SiameseTripletLoss(1.0), jit_compile=jit)
    model.fit((A, B, C), np.zeros(9), batch_size=4, verbose=0)
    assert all(np.abs(x - y).max() > 0 for x, y in zip(before, tower.get_weights(), strict=True))


def test_a_tower_runs_once_on_the_joined_batch():
    inputs = keras.Input((6,))
    tower = keras.Model(inputs, CountedDense(3)(inputs))
    for model, sides, rows in (
        (models.siamese_pair(tower), [A, B], 18),
        (models.siamese_triplet(tower), [A, B, C], 27),
        (models.two_tower(tower, tower, negatives=2), [A, B, C, A], 36),
    ):
        CountedDense.seen.clear()
        model(sides)
        assert CountedDense.seen == [rows]


def test_batch_normalization_sees_the_joined_batch():
    tower = encoder()
    model = models.siamese_pair(tower)
    model([A, B + 7], training=True)
    norm = tower.layers[1]
    joined = np.concatenate([A, B + 7])
    np.testing.assert_allclose(numpy(norm.moving_mean), 0.01 * joined.mean(0), rtol=1e-3, atol=1e-5)


def test_two_towers_of_their_own(tmp_path):
    query, item = encoder("tower"), encoder("tower")
    model = models.two_tower(query, item)
    assert model.get_layer("query_encoder") is query
    assert model.get_layer("item_encoder") is item
    out = model.predict([A, B], verbose=0)
    expected = np.stack([query.predict(A, verbose=0), item.predict(B, verbose=0)], axis=1)
    np.testing.assert_allclose(out, expected, rtol=1e-5)
    assert_reloads(model, [A, B], tmp_path)
    model.compile("adam", loss=losses.InfoNCELoss())
    model.fit([A, B], np.arange(9), batch_size=4, verbose=0)


@pytest.mark.parametrize("shared", [False, True])
def test_two_towers_with_hard_negatives(shared, tmp_path):
    query = encoder()
    item = query if shared else encoder()
    model = models.two_tower(query, item, negatives=2)
    assert model.output_shape == (None, 4, 3)
    out = model.predict([A, B, C, A], verbose=0)
    expected = [query.predict(A, verbose=0)] + [item.predict(x, verbose=0) for x in (B, C, A)]
    np.testing.assert_allclose(out, np.stack(expected, axis=1), rtol=1e-5)
    if shared:
        assert model.get_layer("encoder") is query
    assert_reloads(model, [A, B, C, A], tmp_path)


def test_encoders_with_several_inputs(tmp_path):
    parts = {"p": keras.Input((6,), name="p"), "q": keras.Input((2,), name="q")}
    both = keras.layers.Concatenate()([parts["p"], parts["q"]])
    tower = keras.Model(parts, keras.layers.Dense(3)(both))
    q = RNG.normal(size=(9, 2)).astype("float32")
    first, second = {"p": A, "q": q}, {"p": B, "q": 2 * q}
    model = models.siamese_pair(tower)
    x, y = tower.predict(first, verbose=0), tower.predict(second, verbose=0)
    np.testing.assert_allclose(
        model.predict([first, second], verbose=0)[:, 0], np.linalg.norm(x - y, axis=1), rtol=1e-5
    )
    assert_reloads(model, [first, second], tmp_path)
    proxies = models.with_proxies(tower, 4)
    assert proxies.predict(first, verbose=0).shape == (9, 4)
    assert_reloads(proxies, first, tmp_path)


def test_integer_inputs_stay_integers_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((1,), dtype="int32")
        rows = keras.layers.Flatten()(keras.layers.Embedding(5000, 4)(inputs))
        model = models.siamese_pair(keras.Model(inputs, rows))
    finally:
        keras.config.set_dtype_policy("float32")
    # float16 has no 4097: it would be 4096.
    out = model.predict([np.array([[4097]]), np.array([[4096]])], verbose=0)
    assert out.dtype == np.float32
    assert out[0, 0] > 0


def test_with_proxies(tmp_path):
    tower = encoder()
    model = models.with_proxies(
        tower, 4, centers_per_class=2, pooling="soft", learning_rate_multiplier=10.0
    )
    assert model.get_layer("encoder") is tower
    assert model.output_shape == (None, 4)
    model.compile("adam", loss=losses.SoftTripleLoss(), metrics=["sparse_categorical_accuracy"])
    model.fit(A, np.arange(9) % 4, verbose=0)
    assert_reloads(model, A, tmp_path)
    assert models.with_proxies(tower, 4, return_norms=True).output_shape == (None, 5)


def test_with_distance_similarity():
    pair = models.siamese_pair(encoder())
    model = keras.Model(pair.inputs, layers.DistanceSimilarity()(pair.output))
    model.compile("adam", loss="binary_crossentropy")
    model.fit([A, B], np.arange(9) % 2, verbose=0)
    near, far = model.predict([A[:2], np.stack([A[0], A[1] + 9])], verbose=0)
    assert near > far


@pytest.mark.parametrize(
    "build", [models.siamese_pair, lambda e: models.with_proxies(e, 3), models.siamese_triplet]
)
def test_bad_encoders(build):
    with pytest.raises(TypeError, match="`encoder` of .* must be a keras.Model"):
        build(lambda x: x)
    with pytest.raises(ValueError, match="must know the shape of its input"):
        build(keras.Sequential([keras.layers.Dense(3)]))
    images = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match=r"shape \(batch, dimensions\).*GlobalAveragePooling2D"):
        build(keras.Model(images, keras.layers.Conv2D(4, 3)(images)))
    flat = keras.Input((6,))
    with pytest.raises(ValueError, match="must give one tensor"):
        build(keras.Model(flat, [flat, flat]))


def test_bad_towers():
    with pytest.raises(ValueError, match="same number of dimensions. Received: 3 and 4"):
        models.two_tower(encoder(), encoder(width=4))
    with pytest.raises(ValueError, match="`negatives` of two_tower"):
        models.two_tower(encoder(), encoder(), negatives=-1)
    with pytest.raises(ValueError, match="same shape and number of rows"):
        models.siamese_pair(encoder())([A, B[:4]])
    with pytest.raises(TypeError, match="`memory` of with_memory"):
        models.with_memory(encoder(), "contrastive")


def test_sides_of_other_shapes_are_refused():
    images = keras.Input((None, None, 3))
    tower = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    with pytest.raises(ValueError, match="Resize or pad"):
        models.siamese_pair(tower)([np.zeros((2, 8, 8, 3)), np.zeros((2, 9, 8, 3))])


def test_a_built_layer_is_an_encoder():
    dense = keras.layers.Dense(3)
    dense(A)
    model = models.siamese_pair(dense)
    assert model.get_layer("encoder") is dense
    assert model.predict([A, B], verbose=0).shape == (9, 1)
