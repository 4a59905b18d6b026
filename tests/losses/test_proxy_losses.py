"""Losses on class proxies against loops in float64, by hand, and at their edges."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_metric import layers, losses
from tests.support import BACKEND, assert_slopes, compiled, numpy, value_and_gradient

RNG = np.random.default_rng(0)
LABELS = np.array([0, 2, 2, 1, 4, 0, 4])
COSINES = RNG.uniform(-0.95, 0.95, size=(7, 5))


def cross_entropy(logits, y):
    top = logits.max()
    return top + math.log(np.exp(logits - top).sum()) - logits[y]


def rows_mean(one):
    """Reference of a loss that is the plain mean of `one(cosines of a row, id)`."""
    return lambda s, labels: np.mean([one(row, y) for row, y in zip(s, labels, strict=True)])


def normalized_softmax(s, y):
    return cross_entropy(s / 0.05, y)


def arc_face(s, y, margin=0.5, scale=64.0):
    theta = math.acos(s[y])
    moved = s.copy()
    moved[y] = (
        math.cos(theta + margin) if theta + margin <= math.pi else s[y] - margin * math.sin(margin)
    )
    return cross_entropy(scale * moved, y)


def cos_face(s, y, margin=0.35, scale=64.0):
    moved = s.copy()
    moved[y] -= margin
    return cross_entropy(scale * moved, y)


def proxy_nca(s, y):
    return cross_entropy(-8.0 * (2 - 2 * s), y)


def soft_triple(s, y):
    return cos_face(s, y, 0.01, 20.0)


def proxy_anchor(s, labels, margin=0.1, scale=32.0):
    pulls, pushes = [], []
    for c in range(s.shape[1]):
        own = [math.exp(-scale * (s[i, c] - margin)) for i in range(len(s)) if labels[i] == c]
        other = [math.exp(scale * (s[i, c] + margin)) for i in range(len(s)) if labels[i] != c]
        if own:
            pulls.append(math.log(1 + sum(own)))
        pushes.append(math.log(1 + sum(other)))
    return np.mean(pulls) + np.mean(pushes)


def ada_face(s, labels, norms, margin=0.4, h=0.333, scale=64.0):
    values = []
    for row, y, norm in zip(s, labels, norms, strict=True):
        z = np.clip((norm - norms.mean()) / (norms.std() / h), -1, 1)
        theta = min(max(math.acos(row[y]) - margin * z, 0), math.pi)
        moved = row.copy()
        moved[y] = math.cos(theta) - (margin * z + margin)
        values.append(cross_entropy(scale * moved, y))
    return np.mean(values)


REFERENCES = {
    "normalized_softmax": rows_mean(normalized_softmax),
    "arc_face": rows_mean(arc_face),
    "cos_face": rows_mean(cos_face),
    "proxy_nca": rows_mean(proxy_nca),
    "proxy_anchor": proxy_anchor,
    "soft_triple": rows_mean(soft_triple),
}
EVERY = [*REFERENCES, "ada_face"]


def with_norms(name, cosines, norms=None):
    if name != "ada_face":
        return cosines
    norms = np.linspace(5, 30, len(cosines)) if norms is None else norms
    return np.concatenate([cosines, np.reshape(norms, (-1, 1))], axis=1)


@pytest.mark.parametrize("name", REFERENCES)
def test_value_and_gradient_equal_the_loop(name):
    loss = losses.get(name)
    value, gradient = value_and_gradient(lambda s: loss(LABELS, s), COSINES)
    np.testing.assert_allclose(value, REFERENCES[name](COSINES, LABELS), rtol=2e-5)
    assert_slopes(lambda s: REFERENCES[name](s, LABELS), COSINES, gradient, rtol=2e-3)


def test_ada_face_equals_the_loop_and_gives_norms_no_gradient():
    norms = np.array([5.0, 9.0, 30.0, 12.0, 11.0, 10.0, 8.0])  # one of them is cut at +1
    assert (norms[2] - norms.mean()) / norms.std() * 0.333 > 0.7
    for margin, h in ((0.4, 0.333), (0.9, 2.0)):
        loss = losses.AdaFaceLoss(margin=margin, h=h)
        y_pred = with_norms("ada_face", COSINES, norms)
        value, gradient = value_and_gradient(lambda s, f=loss: f(LABELS, s), y_pred)

        def loop(s, margin=margin, h=h):
            return ada_face(s, LABELS, norms, margin, h)

        np.testing.assert_allclose(value, loop(COSINES), rtol=2e-5)
        assert_slopes(loop, COSINES, gradient[:, :-1], rtol=2e-3)
        assert not gradient[:, -1].any()


def test_ada_face_with_equal_norms_is_cos_face():
    # All of one quality: no turn, and a margin of m on the cosine.
    y_pred = with_norms("ada_face", COSINES, np.full(7, 0.1))
    value = numpy(losses.AdaFaceLoss()(LABELS, y_pred.astype("float32")))
    np.testing.assert_allclose(
        value,
        np.mean([cos_face(s, y, 0.4) for s, y in zip(COSINES, LABELS, strict=True)]),
        rtol=1e-5,
    )


def test_arc_face_beyond_pi():
    cosines = np.array([[-0.99, 0.1], [-0.95, -0.2]])
    assert all(math.acos(c) + 0.5 > math.pi for c in cosines[:, 0])
    value, gradient = value_and_gradient(
        lambda s: losses.ArcFaceLoss()(np.zeros(2, int), s), cosines
    )

    def loop(s):
        return np.mean([arc_face(row, 0) for row in s])

    np.testing.assert_allclose(value, loop(cosines), rtol=1e-5)
    assert_slopes(loop, cosines, gradient)


def test_by_hand():
    # One row, cosines 0.6 and 0, class 0; log(1 + e^(other - own)) throughout.
    s = np.array([[0.6, 0.0]], "float32")
    y = np.array([0])

    def of(loss):
        return numpy(loss(y, s))

    np.testing.assert_allclose(
        of(losses.NormalizedSoftmaxLoss(0.5)), math.log1p(math.exp(-1.2)), rtol=1e-6
    )
    np.testing.assert_allclose(
        of(losses.CosFaceLoss(0.1, 2.0)), math.log1p(math.exp(-1.0)), rtol=1e-6
    )
    # cos(acos 0.6 + pi/2) = -sin(acos 0.6) = -0.8.
    np.testing.assert_allclose(
        of(losses.ArcFaceLoss(math.pi / 2, 1.0)), math.log1p(math.exp(0.8)), rtol=1e-6
    )
    np.testing.assert_allclose(of(losses.ProxyNCALoss(1.0)), math.log1p(math.exp(-1.2)), rtol=1e-6)
    np.testing.assert_allclose(
        of(losses.SoftTripleLoss(0.1, 2.0)), math.log1p(math.exp(-1.0)), rtol=1e-6
    )
    # Proxy 0 pulls: log(1 + e^-(0.6 - 0.1)); of the two proxies only proxy 1 pushes: log(1 + e^0.1) / 2.
    expected = math.log1p(math.exp(-0.5)) + math.log1p(math.exp(0.1)) / 2
    np.testing.assert_allclose(of(losses.ProxyAnchorLoss(0.1, 1.0)), expected, rtol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_finite_at_cosines_of_one_and_minus_one(name):
    for own in (1.0, -1.0, 1.0000001, -1.0000001, 0.99999994):
        s = np.full((3, 4), -0.3)
        s[np.arange(3), [0, 1, 2]] = own
        value, gradient = value_and_gradient(
            lambda e: losses.get(name)(np.arange(3), e), with_norms(name, s)
        )
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", EVERY)
def test_aligned_and_opposite_embeddings_through_the_layer(name):
    """An embedding on its proxy, or opposite, gave NaN elsewhere; here x and proxies get finite gradients."""
    head = layers.ProxySimilarity(3, return_norms=name == "ada_face")
    head.build((None, 4))
    proxies = numpy(head.proxies)
    x = np.stack([proxies[0], -proxies[1], np.zeros(4)])
    loss = losses.get(name)
    _, gradient = value_and_gradient(lambda e: loss(np.arange(3), head(e)), x)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", EVERY)
def test_ignored_rows_take_no_part(name):
    loss = losses.get(name, ignore_id=-1)
    norms = np.linspace(5, 30, 7)
    rng = np.random.default_rng(3)
    more = np.concatenate(
        [with_norms(name, COSINES, norms), with_norms(name, rng.uniform(-1, 1, (3, 5)), [1, 2, 99])]
    )
    labels = np.concatenate([LABELS, [-1, -1, -1]])
    value, gradient = value_and_gradient(lambda s: loss(labels, s), more)
    alone = numpy(losses.get(name)(LABELS, with_norms(name, COSINES, norms).astype("float32")))
    np.testing.assert_allclose(value, alone, rtol=1e-5)
    assert not gradient[7:].any()
    nothing, gradient = value_and_gradient(lambda s: loss(np.full(10, -1), s), more)
    assert nothing == 0
    assert not gradient.any()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("form", ["int64", "column", "float", "tensor", "list"])
def test_forms_of_ids(name, form):
    s = with_norms(name, COSINES).astype("float32")
    ids = {
        "int64": LABELS.astype("int64"),
        "column": LABELS[:, None],
        "float": LABELS.astype("float32"),
        "tensor": ops.convert_to_tensor(LABELS.astype("int32")),
        "list": LABELS.tolist(),
    }[form]
    loss = losses.get(name)
    np.testing.assert_allclose(numpy(loss(ids, s)), numpy(loss(LABELS, s)), rtol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_ids_that_are_no_columns(name):
    s = with_norms(name, COSINES).astype("float32")
    for wrong in (5, -1, 2**60):
        labels = LABELS.astype("int64")
        labels[3] = wrong
        with pytest.raises(ValueError, match="`y_true` of .*Loss must be class ids from 0 to 4"):
            losses.get(name)(labels, s)
    tensor = ops.convert_to_tensor(np.array([0, 1, 2, 3, 4, 0, 5], "int32"))
    with pytest.raises(ValueError, match="must be class ids from 0 to 4.*dense_ids"):
        losses.get(name)(tensor, s)


@pytest.mark.skipif(BACKEND == "torch", reason="not compiled")
@pytest.mark.parametrize("name", EVERY)
def test_ids_that_are_no_columns_show_where_xla_cannot_refuse_them(name):
    s = with_norms(name, COSINES).astype("float32")
    value = compiled(lambda ids: losses.get(name, ignore_id=7)(ids, s))
    assert np.isfinite(value(np.array([0, 1, 2, 3, 4, 0, 7], "int32")))
    assert np.isnan(value(np.array([0, 1, 2, 3, 4, 0, 5], "int32")))


@pytest.mark.parametrize("name", EVERY)
def test_wrong_shapes(name):
    loss = losses.get(name)
    with pytest.raises(ValueError, match="`y_pred` of .* must be similarities of shape"):
        loss(LABELS, np.zeros((7, 5, 2), "float32"))
    with pytest.raises(ValueError, match="same number of rows"):
        loss(LABELS[:6], with_norms(name, COSINES).astype("float32"))
    with pytest.raises(ValueError, match="whole"):
        loss(LABELS + 0.5, with_norms(name, COSINES).astype("float32"))


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("normalized_softmax", {"temperature": 0}, "`temperature` of NormalizedSoftmaxLoss"),
        ("arc_face", {"margin": 3.2}, "`margin` of ArcFaceLoss"),
        ("arc_face", {"scale": -1}, "`scale` of ArcFaceLoss"),
        ("cos_face", {"margin": -0.1}, "`margin` of CosFaceLoss"),
        ("proxy_nca", {"scale": float("nan")}, "`scale` of ProxyNCALoss"),
        ("proxy_anchor", {"scale": 0}, "`scale` of ProxyAnchorLoss"),
        ("soft_triple", {"gamma": 0}, "`gamma` of SoftTripleLoss"),
        ("ada_face", {"h": 0}, "`h` of AdaFaceLoss"),
        ("ada_face", {"ignore_id": 0.5}, "`ignore_id` of AdaFaceLoss"),
    ],
)
def test_bad_arguments(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        losses.get(name, **arguments)


@pytest.mark.parametrize("name", EVERY)
def test_training_lowers_the_loss(name):
    rng = np.random.default_rng(4)
    labels = np.tile(np.arange(3), 8)
    x = (rng.normal(size=(3, 6))[labels] + 0.3 * rng.normal(size=(24, 6))).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(4),
            layers.ProxySimilarity(3, return_norms=name == "ada_face"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), loss=losses.get(name))
    history = model.fit(x, labels, batch_size=10, epochs=12, verbose=0).history["loss"]
    assert history[-1] < 0.6 * history[0]


UNUSUAL = {
    "normalized_softmax": {"temperature": 0.3},
    "arc_face": {"margin": 0.2, "scale": 7.0},
    "cos_face": {"margin": 0.2, "scale": 7.0},
    "proxy_nca": {"scale": 3.0},
    "proxy_anchor": {"margin": 0.3, "scale": 7.0},
    "soft_triple": {"margin": 0.3, "scale": 7.0, "gamma": 0.5},
    "ada_face": {"margin": 0.2, "h": 0.5, "scale": 7.0},
}


@pytest.mark.parametrize("name", EVERY)
def test_config_round_trip(name):
    loss = losses.get(name, reduction="sum", name="named", ignore_id=1, **UNUSUAL[name])
    config = keras.saving.serialize_keras_object(loss)
    again = losses.get(config)
    assert keras.saving.serialize_keras_object(again) == config
    x = with_norms(name, COSINES).astype("float32")
    np.testing.assert_array_equal(numpy(again(LABELS, x)), numpy(loss(LABELS, x)))


@pytest.mark.parametrize("name", EVERY)
def test_sample_weights_and_reductions(name):
    x = with_norms(name, COSINES).astype("float32")
    rows = numpy(losses.get(name, reduction="none")(LABELS, x))
    assert rows.shape == (7,)
    loss = losses.get(name)
    np.testing.assert_allclose(numpy(loss(LABELS, x)), rows.mean(), rtol=1e-6)
    weights = np.arange(7.0)
    expected = (weights * rows).sum() / 7
    np.testing.assert_allclose(numpy(loss(LABELS, x, sample_weight=weights)), expected, rtol=1e-5)
