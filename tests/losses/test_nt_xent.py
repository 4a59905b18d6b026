"""NT-Xent against a loop over positive pairs in float64."""

import numpy as np
import pytest

from keras_metric import losses
from tests.support import assert_slopes, differentiated, numpy


def reference(x, labels, temperature):
    x = np.asarray(x, "float64")
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    terms = []
    for a in range(len(labels)):
        negatives = [
            units[a] @ units[n] / temperature for n in range(len(labels)) if labels[n] != labels[a]
        ]
        if not negatives:
            continue
        for p in range(len(labels)):
            if p != a and labels[p] == labels[a]:
                s = units[a] @ units[p] / temperature
                values = np.array([s, *negatives])
                top = values.max()
                terms.append(top + np.log(np.exp(values - top).sum()) - s)
    return np.mean(terms) if terms else 0.0


@pytest.mark.parametrize("temperature", [0.01, 0.07, 1.0])
@pytest.mark.parametrize(
    "labels", [[0, 0, 1, 1, 2, 3, 0], [0] * 7, list(range(7)), [0, 0, 0, 0, 1, 1, 1]]
)
def test_value_and_gradient_equal_the_loop(temperature, labels):
    x = np.random.default_rng(0).normal(size=(7, 4))
    loss = losses.NTXentLoss(temperature)
    value, gradient = differentiated(loss)(np.array(labels), x)

    def loop(e):
        return reference(e, labels, temperature)

    np.testing.assert_allclose(value, loop(x), rtol=2e-5, atol=1e-7)
    assert_slopes(loop, x, gradient)


def test_a_hard_pair_at_a_small_temperature_does_not_saturate():
    # A positive opposite to the anchor and a negative on it: log(e^100 + e^-100) + 100 = 200.
    x = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]], "float32")
    loss = losses.NTXentLoss(temperature=0.01)
    # The other anchor of the class, at (-1, 0), meets the same: s_ap = -1, s_an = -1: log 2.
    np.testing.assert_allclose(
        numpy(loss(np.array([0, 0, 1]), x)), (200 + np.log(2)) / 2, rtol=1e-6
    )


@pytest.mark.parametrize("temperature", [0, -0.1, float("inf")])
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match="`temperature` of NTXentLoss must be a finite number > 0"):
        losses.NTXentLoss(temperature=temperature)
