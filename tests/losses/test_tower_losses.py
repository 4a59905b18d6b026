"""Losses of two towers against loops in float64, by hand, and at their edges."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_metric import layers, losses
from tests.support import assert_slopes, numpy, value_and_gradient

RNG = np.random.default_rng(0)
TOWERS = RNG.normal(size=(6, 2, 5))
WITH_HARD = RNG.normal(size=(6, 4, 5))
IDS = np.array([7, 3, 7, 2**60, 2**60 + 1, 5])
DENSE = np.array([7, 3, 7, 10, 11, 5])  # the same equalities, in numbers that JAX holds
GRADES = np.array([0.1, 0.9, 0.5, 0.5, -0.3, 0.0])


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def log_sum_exp(values):
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))


def info_nce(towers, ids, temperature=0.05, symmetric=False, ignore_id=None):
    rows = [i for i in range(len(ids)) if ids[i] != ignore_id]
    forward, backward = [], []
    for i in rows:
        own = cosine(towers[i, 0], towers[i, 1]) / temperature
        others = [j for j in rows if ids[j] != ids[i]]
        keys = [towers[j, 1] for j in others]
        keys += [towers[j, t] for j in rows for t in range(2, towers.shape[1])]
        if keys:
            values = [own] + [cosine(towers[i, 0], k) / temperature for k in keys]
            forward.append(log_sum_exp(values) - own)
        if others:
            values = [own] + [cosine(towers[j, 0], towers[i, 1]) / temperature for j in others]
            backward.append(log_sum_exp(values) - own)
    first = np.mean(forward) if forward else 0.0
    if not symmetric:
        return first
    return 0.5 * (first + (np.mean(backward) if backward else 0.0))


def sigmoid_pair(towers, ids, scale=10.0, bias=-10.0, ignore_id=None):
    rows = [i for i in range(len(ids)) if ids[i] != ignore_id]
    sums = []
    for i in rows:
        total = 0.0
        for j in rows:
            z = 1 if ids[i] == ids[j] else -1
            total += np.logaddexp(0, -z * (scale * cosine(towers[i, 0], towers[j, 1]) + bias))
            for t in range(2, towers.shape[1]):
                total += np.logaddexp(0, scale * cosine(towers[i, 0], towers[j, t]) + bias)
        sums.append(total)
    return np.mean(sums) if sums else 0.0


def vic_reg(towers, invariance=25.0, variance=25.0, covariance=1.0):
    a, b = towers[:, 0], towers[:, 1]
    rows, width = a.shape
    loss = invariance * np.mean((a - b) ** 2)
    for x in (a, b):
        deviations = np.sqrt(x.var(axis=0, ddof=1) + 1e-4)
        loss += variance * np.mean(np.maximum(0, 1 - deviations)) / 2
        c = np.cov(x, rowvar=False)
        loss += (
            covariance
            * sum(c[i, j] ** 2 for i in range(width) for j in range(width) if i != j)
            / width
        )
    return loss


def barlow_twins(towers, off_diagonal=0.005):
    a, b = towers[:, 0], towers[:, 1]
    width = a.shape[1]
    c = np.corrcoef(a, b, rowvar=False)[:width, width:]
    loss = sum((1 - c[i, i]) ** 2 for i in range(width))
    return loss + off_diagonal * sum(
        c[i, j] ** 2 for i in range(width) for j in range(width) if i != j
    )


def co_sent(towers, grades, scale=20.0):
    s = [cosine(a, b) for a, b in towers]
    total = 1.0
    for i in range(len(s)):
        for j in range(len(s)):
            if grades[i] > grades[j]:
                total += math.exp(scale * (s[j] - s[i]))
    return math.log(total)


def cosine_regression(towers, grades):
    return np.mean([(cosine(a, b) - y) ** 2 for (a, b), y in zip(towers, grades, strict=True)])


def check(loss, y_true, towers, loop, rtol=2e-5):
    value, gradient = value_and_gradient(lambda t: loss(y_true, t), towers)
    np.testing.assert_allclose(value, loop(towers), rtol=rtol)
    assert_slopes(loop, towers, gradient, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("towers", [TOWERS, WITH_HARD], ids=["two", "hard negatives"])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(
    "ids", [DENSE, np.arange(6), np.zeros(6, int)], ids=["some equal", "all differ", "all equal"]
)
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_info_nce(towers, symmetric, ids, temperature):
    loss = losses.InfoNCELoss(temperature, symmetric)
    check(loss, ids, towers, lambda t: info_nce(t, ids, temperature, symmetric), rtol=5e-5)


@pytest.mark.parametrize("towers", [TOWERS, WITH_HARD], ids=["two", "hard negatives"])
@pytest.mark.parametrize(
    "ids", [DENSE, np.arange(6), np.zeros(6, int)], ids=["some equal", "all differ", "all equal"]
)
def test_sigmoid_pair(towers, ids):
    check(losses.SigmoidPairLoss(), ids, towers, lambda t: sigmoid_pair(t, ids))
    check(losses.SigmoidPairLoss(2.0, 0.5), ids, towers, lambda t: sigmoid_pair(t, ids, 2.0, 0.5))


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_vic_reg(scale):
    # At 0.2 every coordinate is below its variance, at 3 none is.
    check(losses.VICRegLoss(), np.zeros(6), scale * TOWERS, vic_reg)
    check(
        losses.VICRegLoss(1.0, 2.0, 3.0), None, scale * TOWERS, lambda t: vic_reg(t, 1.0, 2.0, 3.0)
    )


def test_barlow_twins():
    check(losses.BarlowTwinsLoss(), np.zeros(6), TOWERS, barlow_twins)
    check(
        losses.BarlowTwinsLoss(0.5), None, 100 + TOWERS, lambda t: barlow_twins(t, 0.5), rtol=1e-3
    )


def test_co_sent_and_cosine_regression():
    for grades in (GRADES, GRADES[:, None]):
        check(losses.CoSENTLoss(), grades, TOWERS, lambda t: co_sent(t, GRADES))
        check(losses.CoSENTLoss(3.0), grades, TOWERS, lambda t: co_sent(t, GRADES, 3.0))
        check(losses.CosineRegressionLoss(), grades, TOWERS, lambda t: cosine_regression(t, GRADES))


def test_by_hand():
    # Queries and keys on the axes: s = [[1, 0], [0, 1]].
    towers = np.array([[[1, 0], [2, 0]], [[0, 1], [0, 3]]], "float32")
    ids = np.arange(2)
    np.testing.assert_allclose(
        numpy(losses.InfoNCELoss(0.5)(ids, towers)), math.log1p(math.exp(-2)), rtol=1e-6
    )
    # Equal ids: the other key is no negative, so there is nothing to learn.
    assert numpy(losses.InfoNCELoss(0.5)(np.zeros(2, int), towers)) == 0
    # t = 1, b = 0: softplus(-1) for the own pair, softplus(0) for the other.
    expected = math.log1p(math.exp(-1)) + math.log(2)
    np.testing.assert_allclose(
        numpy(losses.SigmoidPairLoss(1.0, 0.0)(ids, towers)), expected, rtol=1e-6
    )
    # a - b = (-1, 0) and (0, -2): mean square 5/4. View a: deviations √(½ + 1e-4), covariance -½ twice: 2 · ¼ / 2.
    parts = [losses.VICRegLoss(*w)(None, towers) for w in np.eye(3).tolist()]
    np.testing.assert_allclose(numpy(parts[0]), 1.25, rtol=1e-6)
    np.testing.assert_allclose(numpy(parts[1]), (1 - math.sqrt(0.5001)) / 2, rtol=1e-5)
    # View b: (2, 0), (0, 3): covariance -(1 · 1.5 + 1 · 1.5) = -3, twice: 2 · 9 / 2.
    np.testing.assert_allclose(numpy(parts[2]), 0.25 + 9, rtol=1e-6)
    # Two rows: both coordinates correlate ±1 with everything: off-diagonal 2 · λ.
    np.testing.assert_allclose(numpy(losses.BarlowTwinsLoss(0.1)(None, towers)), 0.2, rtol=1e-5)
    # Cosines 1 and 1; one wrongly graded pair of pairs: log(1 + e^0).
    np.testing.assert_allclose(
        numpy(losses.CoSENTLoss()(np.array([0.0, 1.0]), towers)), math.log(2), rtol=1e-6
    )
    np.testing.assert_allclose(
        numpy(losses.CosineRegressionLoss()(np.array([0.0, 0.5]), towers)), 0.625, rtol=1e-6
    )


@pytest.mark.parametrize("name", ["info_nce", "sigmoid_pair"])
def test_ids_of_any_size_and_form(name):
    towers = TOWERS.astype("float32")
    loss = losses.get(name)
    expected = numpy(loss(DENSE, towers))
    for ids in (IDS, IDS[:, None], IDS - 2**61, DENSE + 2**24, ops.convert_to_tensor(DENSE)):
        np.testing.assert_allclose(numpy(loss(ids, towers)), expected, rtol=1e-6)
    np.testing.assert_allclose(
        numpy(loss(None, towers)), numpy(loss(np.arange(6), towers)), rtol=1e-6
    )


@pytest.mark.parametrize("towers", [TOWERS, WITH_HARD], ids=["two", "hard negatives"])
def test_ignored_rows_take_no_part(towers):
    ids = np.array([0, 1, -1, 2, -1, 1])
    loop = {
        "info_nce": lambda t: info_nce(t, ids, symmetric=True, ignore_id=-1),
        "sigmoid_pair": lambda t: sigmoid_pair(t, ids, ignore_id=-1),
    }
    for loss in (
        losses.InfoNCELoss(symmetric=True, ignore_id=-1),
        losses.SigmoidPairLoss(ignore_id=-1),
    ):
        value, gradient = value_and_gradient(lambda t, f=loss: f(ids, t), towers)
        np.testing.assert_allclose(value, loop[losses.LOSSES.name_of(loss)](towers), rtol=5e-5)
        assert not gradient[[2, 4]].any()
        value, gradient = value_and_gradient(lambda t, f=loss: f(np.full(6, -1), t), towers)
        assert value == 0
        assert not gradient.any()


NAMES = ["info_nce", "sigmoid_pair", "vic_reg", "barlow_twins", "co_sent", "cosine_regression"]


@pytest.mark.parametrize("name", NAMES)
def test_finite_on_edges(name):
    rng = np.random.default_rng(1)
    aligned = np.repeat(rng.normal(size=(6, 1, 5)), 2, axis=1)
    for case in (
        aligned, aligned * [[[1], [-1]]], np.zeros((6, 2, 5)), np.ones((6, 2, 5)), 1e4 * TOWERS, 1e-6 * TOWERS,
        TOWERS[:1], TOWERS * np.array([0, 1, 0, 1, 1, 1]).reshape(6, 1, 1),
    ):  # fmt: skip
        y = GRADES[: len(case)] if name in NAMES[-2:] else np.arange(len(case))
        value, gradient = value_and_gradient(lambda t, y=y: losses.get(name)(y, t), case)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_nothing_to_order_costs_nothing():
    value, gradient = value_and_gradient(lambda t: losses.CoSENTLoss()(np.ones(6), t), TOWERS)
    assert value == 0
    assert not gradient.any()


def test_a_constant_coordinate_correlates_with_nothing():
    towers = TOWERS.copy()
    towers[:, :, 0] = 0.1  # no float32 is 0.1, so that the mean is off by rounding
    value, gradient = value_and_gradient(lambda t: losses.BarlowTwinsLoss(0.0)(None, t), towers)
    np.testing.assert_allclose(value, 1 + barlow_twins(towers[:, :, 1:], 0.0), rtol=1e-4)
    assert not gradient[:, :, 0].any()


@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes(name):
    y = GRADES if name in NAMES[-2:] else np.arange(6)
    for wrong in (np.zeros((6, 5), "float32"), np.zeros((6, 1, 5), "float32")):
        with pytest.raises(
            ValueError, match=r"`y_pred` of .*Loss must have the shape \(batch, 2 towers"
        ):
            losses.get(name)(y, wrong)
    if name not in NAMES[:2]:
        with pytest.raises(ValueError, match="2 towers, dimensions"):
            losses.get(name)(y, np.zeros((6, 3, 5), "float32"))
    if name not in ("vic_reg", "barlow_twins"):
        with pytest.raises(ValueError, match="same number of rows"):
            losses.get(name)(y[:5], TOWERS.astype("float32"))


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("info_nce", {"temperature": 0}, "`temperature` of InfoNCELoss"),
        ("info_nce", {"distance": "hamming"}, "`distance` of InfoNCELoss must be differentiable"),
        ("sigmoid_pair", {"scale": 0}, "`scale` of SigmoidPairLoss"),
        ("vic_reg", {"variance": -1}, "`variance` of VICRegLoss"),
        ("barlow_twins", {"off_diagonal": -1}, "`off_diagonal` of BarlowTwinsLoss"),
        ("co_sent", {"scale": -20}, "`scale` of CoSENTLoss"),
    ],
)
def test_bad_arguments(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        losses.get(name, **arguments)


def test_learned_scale_gives_what_fixed_ones_give():
    towers = TOWERS.astype("float32")
    learned = losses.SigmoidPairLoss(1.0, 0.0, distance="inner_product")
    np.testing.assert_allclose(
        numpy(learned(DENSE, layers.LearnedScale(10.0, -10.0)(towers))),
        sigmoid_pair(TOWERS, DENSE), rtol=1e-5,
    )  # fmt: skip
    learned = losses.InfoNCELoss(1.0, distance="inner_product")
    np.testing.assert_allclose(
        numpy(learned(DENSE, layers.LearnedScale(20.0)(towers))), info_nce(TOWERS, DENSE), rtol=1e-5
    )


UNUSUAL = {
    "info_nce": {"temperature": 0.3, "symmetric": True, "distance": "euclidean", "ignore_id": 5},
    "sigmoid_pair": {"scale": 3.0, "bias": -2.0, "distance": "inner_product", "ignore_id": 5},
    "vic_reg": {"invariance": 1.0, "variance": 2.0, "covariance": 3.0},
    "barlow_twins": {"off_diagonal": 0.5},
    "co_sent": {"scale": 3.0},
    "cosine_regression": {},
}


@pytest.mark.parametrize("name", NAMES)
def test_config_round_trip(name):
    y = GRADES if name in NAMES[-2:] else DENSE
    loss = losses.get(name, reduction="sum", name="named", **UNUSUAL[name])
    config = keras.saving.serialize_keras_object(loss)
    again = losses.get(config)
    assert keras.saving.serialize_keras_object(again) == config
    x = TOWERS.astype("float32")
    np.testing.assert_array_equal(numpy(again(y, x)), numpy(loss(y, x)))
    default = losses.get(name, reduction="sum")
    assert not UNUSUAL[name] or not np.allclose(numpy(default(y, x)), numpy(loss(y, x)))


@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss(name):
    keras.utils.set_random_seed(0)
    towers = TOWERS.astype("float32")
    inputs = keras.Input((2, 5))
    model = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    model.compile(keras.optimizers.Adam(0.05), loss=losses.get(name))
    y = GRADES if name in NAMES[-2:] else np.arange(6)
    history = model.fit(towers, y, batch_size=4, epochs=15, verbose=0).history["loss"]
    assert history[-1] < history[0]
