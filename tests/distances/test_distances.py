"""Every distance against loops in float64, and at its edges."""

import numpy as np
import pytest
from keras import ops

from keras_metric import distances
from keras_metric.distances import DISTANCES
from tests.support import BACKEND, numeric_gradient, numpy, value_and_gradient


def cosine(x, y):
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / lengths) if lengths > 0 else 0.0


def poincare(x, y, c=1.0):
    ratio = 2 * c * np.sum((x - y) ** 2) / ((1 - c * x @ x) * (1 - c * y @ y))
    return np.arccosh(1 + ratio) / np.sqrt(c)


REFERENCES = {
    "euclidean": lambda x, y: np.sqrt(np.sum((x - y) ** 2)),
    "squared_euclidean": lambda x, y: np.sum((x - y) ** 2),
    "manhattan": lambda x, y: np.sum(np.abs(x - y)),
    "minkowski": lambda x, y: np.sum(np.abs(x - y) ** 3) ** (1 / 3),
    "chebyshev": lambda x, y: np.max(np.abs(x - y)),
    "cosine": lambda x, y: 1 - cosine(x, y),
    "angular": lambda x, y: np.arccos(np.clip(cosine(x, y), -1, 1)),
    "inner_product": lambda x, y: -float(x @ y),
    "hamming": lambda x, y: np.mean(np.sign(x) != np.sign(y)),
    "snr": lambda x, y: np.var(x - y) / np.var(x),
    "poincare": poincare,
}
SIMILARITIES = {
    "cosine": lambda d: 1 - d,
    "angular": np.cos,
    "hamming": lambda d: 1 - d,
}
EVERY = sorted(REFERENCES)
DIFFERENTIABLE = [name for name in EVERY if name != "hamming"]


def loop(name, x, y):
    x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
    return np.array([[REFERENCES[name](a, b) for b in y] for a in x])


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    # Small enough for the Poincaré ball.
    return 0.2 * rng.normal(size=(7, 6)), 0.2 * rng.normal(size=(5, 6))


def test_every_distance_has_a_reference():
    assert DISTANCES.names() == EVERY


@pytest.mark.parametrize("name", EVERY)
def test_values_equal_the_loop(name, points):
    x, y = points
    distance = distances.get(name)
    np.testing.assert_allclose(numpy(distance.pairwise(x.astype("float32"), y.astype("float32"))),
                               loop(name, x, y), rtol=2e-5, atol=2e-6)  # fmt: skip
    np.testing.assert_allclose(
        numpy(distance.pairwise(x.astype("float32"))), loop(name, x, x), rtol=2e-5, atol=1e-3
    )
    aligned = [REFERENCES[name](a, b) for a, b in zip(x[:5], y, strict=True)]
    np.testing.assert_allclose(
        numpy(distance.between(x[:5].astype("float32"), y.astype("float32"))), aligned, rtol=2e-5
    )


@pytest.mark.parametrize("name", EVERY)
def test_similarity(name):
    d = np.linspace(0, 1, 5, dtype="float32")
    expected = SIMILARITIES.get(name, lambda d: -d)(d)
    np.testing.assert_allclose(
        numpy(distances.get(name).similarity(ops.convert_to_tensor(d))), expected, 1e-6
    )


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_equal_differences(name, points):
    x, y = points
    weights = np.random.default_rng(1).normal(size=(7, 5))
    distance = distances.get(name)

    def weighted(a, b):
        return distance.pairwise(a, b) * ops.convert_to_tensor(weights.astype("float32"))

    _, (by_x, by_y) = value_and_gradient(weighted, x, y)
    np.testing.assert_allclose(
        by_x,
        numeric_gradient(lambda a: np.sum(weights * loop(name, a, y)), x),
        rtol=1e-3,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        by_y,
        numeric_gradient(lambda b: np.sum(weights * loop(name, x, b)), y),
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_between_rows_equal_differences(name, points):
    x, y = points[0][:5], points[1]
    distance = distances.get(name)
    _, (by_x, by_y) = value_and_gradient(distance.between, x, y)

    def total(a, b):
        return sum(REFERENCES[name](p, q) for p, q in zip(a, b, strict=True))

    np.testing.assert_allclose(
        by_x, numeric_gradient(lambda a: total(a, y), x), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        by_y, numeric_gradient(lambda b: total(x, b), y), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("scale", [0.0, 1e-6, 0.1, 1e4])
def test_duplicates_and_zero_vectors_give_finite_gradients(name, scale):
    x = scale * np.random.default_rng(2).normal(size=(6, 64)).astype("float32")
    x[1] = x[0]
    x[2] = 0
    for function in (lambda a: distances.get(name).pairwise(a),
                     lambda a: distances.get(name).pairwise(a, a),
                     lambda a: distances.get(name).between(a, ops.flip(a, axis=0))):  # fmt: skip
        value, gradient = value_and_gradient(function, x)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", sorted(set(DIFFERENTIABLE) - {"inner_product", "cosine"}))
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_zero_distance_has_a_zero_gradient(name, scale):
    if name == "poincare":
        scale = min(scale, 1.0) * 0.01
    row = scale * np.random.default_rng(3).normal(size=(1, 128)).astype("float32")
    x = np.repeat(row, 3, axis=0)
    for function in (distances.get(name).pairwise, distances.get(name).between):
        value, (by_x, by_y) = value_and_gradient(function, x, x)
        if name != "angular" or function == distances.get(name).pairwise:
            assert value == 0
        np.testing.assert_array_equal(by_x, np.zeros_like(x))
        np.testing.assert_array_equal(by_y, np.zeros_like(x))


def test_zero_vector_has_cosine_zero_and_no_gradient():
    x = np.array([[0.0, 0.0], [3.0, 4.0]], "float32")
    np.testing.assert_allclose(
        numpy(distances.get("cosine").pairwise(x)), [[1, 1], [1, 0]], atol=1e-6
    )
    _, gradient = value_and_gradient(distances.get("cosine").pairwise, x)
    np.testing.assert_array_equal(gradient[0], [0, 0])


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e4, 1e30])
def test_cosine_does_not_depend_on_length(scale):
    x = np.random.default_rng(4).normal(size=(5, 8))
    tiny = (x * scale).astype("float32")
    np.testing.assert_allclose(
        numpy(distances.get("cosine").pairwise(tiny)), loop("cosine", x, x), atol=1e-6
    )


def test_offset_far_from_the_origin_does_not_lose_small_distances():
    x = np.random.default_rng(5).normal(size=(8, 16))
    far = (x + 1000.0).astype("float32")
    expected = loop("euclidean", far, far)
    np.testing.assert_allclose(
        numpy(distances.get("euclidean").pairwise(far)), expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("offset", [0, 1000])
def test_integers_have_exact_distances(offset):
    """So that ties stay ties: a miner's "strictly farther" and a term of exactly 0 depend on it."""
    x = np.random.default_rng(6).integers(-3, 5, size=(13, 3)) + offset
    squared = numpy(distances.get("squared_euclidean").pairwise(x.astype("float32")))
    np.testing.assert_array_equal(squared, loop("squared_euclidean", x, x))
    root = numpy(distances.get("euclidean").pairwise(x.astype("float32")))
    assert len(np.unique(root)) == len(np.unique(squared))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    x = ops.cast(np.random.default_rng(6).normal(size=(4, 300)).astype("float32"), dtype)
    result = distances.get("squared_euclidean").pairwise(x)
    assert "float32" in str(result.dtype)
    exact = numpy(ops.cast(x, "float32"))
    np.testing.assert_allclose(
        numpy(result), loop("squared_euclidean", exact, exact), rtol=1e-4, atol=1e-3
    )


@pytest.mark.skipif(
    BACKEND != "tensorflow",
    reason="JAX has no float64 unless it is switched on; Keras multiplies matrices of PyTorch in float32",
)
def test_float64_stays_float64(points):
    x, y = points
    for name in EVERY:
        tensors = [ops.convert_to_tensor(points, dtype="float64") for points in (x, y)]
        result = distances.get(name).pairwise(*tensors)
        assert "float64" in str(result.dtype)
        np.testing.assert_allclose(numpy(result), loop(name, x, y), rtol=1e-10)


@pytest.mark.parametrize("name", EVERY)
def test_empty_and_single(name):
    distance = distances.get(name)
    assert tuple(distance.pairwise(np.ones((1, 3), "float32")).shape) == (1, 1)
    assert tuple(
        distance.pairwise(np.ones((2, 3), "float32"), np.ones((0, 3), "float32")).shape
    ) == (2, 0)


def test_minkowski_of_high_order_does_not_overflow():
    x = np.array([[1e4, 2e4, -3e4]], "float32")
    result = distances.MinkowskiDistance(p=64.0).pairwise(x, -x)
    np.testing.assert_allclose(numpy(result), [[6e4]], rtol=1e-5)


def test_poincare_projects_points_outside_the_ball():
    x = np.array([[30.0, 40.0], [0.0, 0.0]], "float32")
    result = numpy(distances.get("poincare").pairwise(x))
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result[0, 1], 2 * np.arctanh(0.999), rtol=1e-4)


def test_poincare_curvature():
    rng = np.random.default_rng(8)
    x, y = 0.1 * rng.normal(size=(3, 4)), 0.1 * rng.normal(size=(2, 4))
    result = distances.PoincareDistance(curvature=2.5).pairwise(
        x.astype("float32"), y.astype("float32")
    )
    expected = [[poincare(a, b, 2.5) for b in y] for a in x]
    np.testing.assert_allclose(numpy(result), expected, rtol=1e-4)


def test_config_round_trip():
    import keras

    for name, arguments in {
        "minkowski": {"p": 2.5},
        "poincare": {"curvature": 0.5},
        "cosine": {},
    }.items():
        config = keras.saving.serialize_keras_object(distances.get(name, **arguments))
        again = distances.get(config)
        assert DISTANCES.name_of(again) == name
        assert again.get_config() == arguments


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: distances.get("cosin"), ValueError, "Did you mean 'cosine'"),
        (lambda: distances.get(3), TypeError, "Distance"),
        (lambda: distances.MinkowskiDistance(p=0.5), ValueError, "`p` of MinkowskiDistance"),
        (lambda: distances.PoincareDistance(curvature=0), ValueError, "curvature"),
        (
            lambda: distances.get("cosine").pairwise(np.ones((2, 3, 4))),
            ValueError,
            "Flatten or pool",
        ),
        (
            lambda: distances.get("cosine").pairwise(np.ones((2, 3)), np.ones((2, 4))),
            ValueError,
            "dimensions",
        ),
        (
            lambda: distances.get("cosine").between(np.ones((2, 3)), np.ones((3, 3))),
            ValueError,
            "rows",
        ),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()
