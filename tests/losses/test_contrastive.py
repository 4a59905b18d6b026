"""Contrastive loss against a loop over pairs in float64."""

import numpy as np
import pytest

from keras_metric import losses
from tests.support import assert_slopes, differentiated, numpy


def reference(x, labels, positive_margin, negative_margin, squared, averaging):
    x = np.asarray(x, "float64")
    parts = {True: [[] for _ in labels], False: [[] for _ in labels]}
    for i in range(len(labels)):
        for j in range(len(labels)):
            if i == j:
                continue
            d = np.sqrt(np.sum((x[i] - x[j]) ** 2))
            same = labels[i] == labels[j]
            hinge = max(0.0, d - positive_margin) if same else max(0.0, negative_margin - d)
            parts[bool(same)][i].append(hinge**2 if squared else hinge)
    total = 0.0
    for rows in parts.values():
        if averaging == "anchors":
            values = [np.mean(row) for row in rows if row]
        else:
            values = [v for row in rows for v in row if averaging == "terms" or v > 0]
        total += np.mean(values) if values else 0.0
    return total


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("averaging", ["terms", "active_terms", "anchors"])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 3, 0], [0] * 7, list(range(7))])
def test_value_and_gradient_equal_the_loop(squared, averaging, labels):
    x = np.random.default_rng(0).normal(size=(7, 3))
    loss = losses.ContrastiveLoss(0.3, 1.6, squared, averaging=averaging)
    value, gradient = differentiated(loss)(np.array(labels), x)

    def loop(e):
        return reference(e, labels, 0.3, 1.6, squared, averaging)

    np.testing.assert_allclose(value, loop(x), rtol=1e-5)
    assert_slopes(loop, x, gradient)


def test_by_hand():
    # On a line at 0, 0.5 (same class) and 0.8: positive pair 0.5² = 0.25; negative pairs 0.8 and 0.3:
    # (1-0.8)² = 0.04 and (1-0.3)² = 0.49, mean 0.265.
    x = np.array([[0.0], [0.5], [0.8]], "float32")
    np.testing.assert_allclose(
        numpy(losses.ContrastiveLoss()(np.array([1, 1, 2]), x)), 0.515, rtol=1e-6
    )


def test_hardest_takes_one_positive_and_one_negative_an_anchor():
    # At 0, 1, 3 (class 0) and 4, 6 (class 1). Farthest positives: 3, 2, 3, 2, 2; nearest negatives: 4, 3, 1, 1, 3.
    x = np.array([[0.0], [1.0], [3.0], [4.0], [6.0]], "float32")
    labels = np.array([0, 0, 0, 1, 1])
    loss = losses.ContrastiveLoss(negative_margin=2.0, squared=False, miner="hardest")
    expected = (3 + 2 + 3 + 2 + 2) / 5 + (0 + 0 + 1 + 1 + 0) / 5
    np.testing.assert_allclose(numpy(loss(labels, x)), expected, rtol=1e-6)


def test_semi_hard_negatives_weigh_as_many_positives_as_chose_them():
    # Anchor 0 with positives at 1 and 2; negatives at 1.5 and 3: the positive at 1 takes 1.5, the one at 2 takes 3.
    # Anchors at 1 (positives 1, 1; negatives 0.5, 2): both take 2. At 2 (positives 2, 1; negatives 0.5, 1): none
    # beyond 2 and none strictly beyond 1: the farthest, 1, twice.
    x = np.array([[0.0], [1.0], [2.0], [1.5], [3.0]], "float32")
    labels = np.array([0, 0, 0, 1, 2])
    loss = losses.ContrastiveLoss(negative_margin=4.0, squared=False, miner="semi_hard")
    pull = (1 + 2 + 1 + 1 + 2 + 1) / 6
    push = ((4 - 1.5) + (4 - 3) + 2 * (4 - 2) + 2 * (4 - 1)) / 6
    np.testing.assert_allclose(numpy(loss(labels, x)), pull + push, rtol=1e-6)


@pytest.mark.parametrize("argument", ["positive_margin", "negative_margin"])
def test_bad_margins(argument):
    with pytest.raises(ValueError, match=f"`{argument}` of ContrastiveLoss"):
        losses.ContrastiveLoss(**{argument: -1.0})
