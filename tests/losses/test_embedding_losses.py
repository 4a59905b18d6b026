"""Losses between the embeddings of a batch against loops in float64, and by hand."""

import functools
import math

import numpy as np
import pytest
from keras import ops

from keras_metric import losses
from tests import oracles
from tests.losses.cases import embedding_losses, make
from tests.support import assert_slopes, differentiated, numpy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(10, 4))

# name → [(arguments of the loss, loop (embeddings, labels, embeddings at which weights are fixed))]
LOOPS = {
    "sup_con": [
        ({}, lambda x, y, fixed: oracles.sup_con(x, y)),
        ({"temperature": 0.02}, lambda x, y, fixed: oracles.sup_con(x, y, 0.02)),
    ],
    "multi_similarity": [
        ({}, lambda x, y, fixed: oracles.multi_similarity(x, y)),
        (
            {"alpha": 3.0, "beta": 20.0, "base": 0.2, "miner": "all"},
            lambda x, y, fixed: oracles.multi_similarity(x, y, 3.0, 20.0, 0.2, epsilon=None),
        ),
    ],
    "circle": [
        ({}, lambda x, y, fixed: oracles.circle(x, y, weighing=fixed)),
        (
            {"margin": 0.25, "scale": 5.0},
            lambda x, y, fixed: oracles.circle(x, y, 0.25, 5.0, weighing=fixed),
        ),
    ],
    "soft_nearest_neighbor": [
        ({}, lambda x, y, fixed: oracles.soft_nearest_neighbor(x, y)),
        ({"temperature": 0.2}, lambda x, y, fixed: oracles.soft_nearest_neighbor(x, y, 0.2)),
    ],
    "lifted_structure": [
        ({}, lambda x, y, fixed: oracles.lifted_structure(x, y)),
        ({"margin": 3.0}, lambda x, y, fixed: oracles.lifted_structure(x, y, 3.0)),
    ],
    "generalized_lifted_structure": [
        ({}, lambda x, y, fixed: oracles.generalized_lifted_structure(x, y)),
        ({"margin": 0.1}, lambda x, y, fixed: oracles.generalized_lifted_structure(x, y, 0.1)),
    ],
    "margin": [
        ({}, lambda x, y, fixed: oracles.margin(x, y, weighing=fixed)),
        (
            {"margin": 0.5, "boundary": 2.0, "miner": "all"},
            lambda x, y, fixed: oracles.margin(x, y, 0.5, 2.0),
        ),
    ],
    "angular": [
        ({}, lambda x, y, fixed: oracles.angular(x, y)),
        ({"angle": 65.0}, lambda x, y, fixed: oracles.angular(x, y, 65.0)),
        ({"angle": 20.0}, lambda x, y, fixed: oracles.angular(x, y, 20.0)),
    ],
    "fast_ap": [
        ({}, lambda x, y, fixed: oracles.fast_ap(x, y)),
        ({"bins": 3}, lambda x, y, fixed: oracles.fast_ap(x, y, 3)),
    ],
    "smooth_ap": [
        ({"temperature": 0.05}, lambda x, y, fixed: oracles.smooth_ap(x, y, 0.05)),
        ({}, lambda x, y, fixed: oracles.smooth_ap(x, y)),
    ],
    "recall_at_k_surrogate": [
        ({"rank_temperature": 0.05}, lambda x, y, fixed: oracles.recall_at_k(x, y, (1, 2, 4, 8, 16), 0.05)),
        (
            {"k": (1, 3), "rank_temperature": 0.1, "recall_temperature": 0.5},
            lambda x, y, fixed: oracles.recall_at_k(x, y, (1, 3), 0.1, 0.5),
        ),
    ],
    "threshold_consistent_margin": [
        ({}, lambda x, y, fixed: oracles.threshold_consistent_margin(x, y)),
        (
            {"positive_margin": 0.3, "negative_margin": -0.2, "positive_weight": 2.0, "negative_weight": 0.5},
            lambda x, y, fixed: oracles.threshold_consistent_margin(x, y, 0.3, -0.2, (2.0, 0.5)),
        ),
    ],
}  # fmt: skip
BATCHES = {
    "usual": np.array([3, 3, 3, 5, 5, 9, 9, 9, 9, 4]),
    "one class": np.zeros(10, int),
    "all singletons": np.arange(10),
    "one class and a singleton": np.array([1] * 9 + [2]),
}


def test_every_embedding_loss_has_a_loop():
    # The three others have test files of their own.
    others = {"contrastive", "triplet", "nt_xent", "matryoshka"}
    assert set(LOOPS) | others == set(embedding_losses())


@functools.cache
def step_of(name, index):
    """`(labels, embeddings) → (value, gradient)` with the arguments of one loop."""
    return differentiated(make(name, **LOOPS[name][index][0]))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", LOOPS)
def test_value_and_gradient_equal_the_loop(name, batch):
    labels = BATCHES[batch]
    for index, (_, loop) in enumerate(LOOPS[name]):
        value, gradient = step_of(name, index)(labels, X)
        np.testing.assert_allclose(value, loop(X, labels, X), rtol=5e-5, atol=1e-7)
        assert_slopes(lambda e, loop=loop: loop(e, labels, X), X, gradient, rtol=2e-3, atol=2e-4)


# Three unit vectors with cosines 0.6 (positive pair), 0 and 0.8, and three points on a line.
UNITS = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], "float32")
LINE = np.array([[0.0], [1.0], [3.0]], "float32")
TURNED = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], "float32")
PAIR_AND_ONE = np.array([7, 7, 9])


def softplus(x):
    return math.log(1 + math.exp(x))


BY_HAND = {
    # Anchors 0 and 1 have a positive: −log(e^0.6 / (e^0.6 + e^0)) and −log(e^0.6 / (e^0.6 + e^0.8)).
    "sup_con": (losses.SupConLoss(1.0), UNITS, (softplus(-0.6) + softplus(0.2)) / 2),
    # ε = 0.1. Anchor 0: 0.6 − 0.1 < 0 fails, 0 + 0.1 > 0.6 fails. Anchor 1: 0.5 < 0.8 and 0.9 > 0.6 hold. Anchor 2 has
    # no positive. Only anchor 1 counts: log(1 + e^(−2 · 0.1)) / 2 + log(1 + e^(50 · 0.3)) / 50.
    "multi_similarity": (
        losses.MultiSimilarityLoss(),
        UNITS,
        softplus(-0.2) / 2 + softplus(15) / 50,
    ),
    # Pull 0.65 · 0.15 for both; push [0.25]+ · (−0.25) for anchor 0 and [1.05]+ · 0.55 for anchor 1.
    "circle": (
        losses.CircleLoss(margin=0.25, scale=1.0),
        UNITS,
        (softplus(-0.0625 + 0.0975) + softplus(0.5775 + 0.0975)) / 2,
    ),
    # Anchor 0: −log(e^−1 / (e^−1 + e^−9)); anchor 1: −log(e^−1 / (e^−1 + e^−4)).
    "soft_nearest_neighbor": (
        losses.SoftNearestNeighborLoss(),
        LINE,
        (softplus(-8) + softplus(-3)) / 2,
    ),
    # d_ap = 1, negatives of both ends at 3 and 2.
    "lifted_structure": (
        losses.LiftedStructureLoss(),
        LINE,
        0.5 * (1 + math.log(math.exp(-2) + math.exp(-1))) ** 2,
    ),
    # [1 + 2.5 − 3]+ and [1 + 2.5 − 2]+.
    "generalized_lifted_structure": (losses.GeneralizedLiftedStructureLoss(2.5), LINE, 1.0),
    # Positives [1 − 1.75 + 1]+ = 0.25 twice; negatives at 2: 0.75 twice; at 3: inactive.
    "margin": (losses.MarginLoss(1.0, 1.75, miner="all"), LINE, 0.5),
    # tan² 45° = 1: 4 · (0 + 0.8) − 4 · 0.6 = 0.8 in both directions.
    "angular": (losses.AngularLoss(45.0), UNITS, softplus(0.8)),
    # Anchor 0: the negative at d² = 0, the positive at 2: precision ½. Anchor 1: both in the bin at 2: ½ too.
    "fast_ap": (losses.FastAPLoss(bins=4), TURNED, 0.5),
    # Anchor 0: rank 1 + σ(100) = 2, AP ½. Anchor 1: a tie, rank 1.5, AP ⅔.
    "smooth_ap": (losses.SmoothAPLoss(), TURNED, (1 / 2 + 1 / 3) / 2),
    # The same ranks: 1 − σ(1 − 2) and 1 − σ(1 − 1.5).
    "recall_at_k_surrogate": (
        losses.RecallAtKSurrogateLoss(k=1),
        TURNED,
        1 - (1 / (1 + math.exp(1)) + 1 / (1 + math.exp(0.5))) / 2,
    ),
    # Positives 0.9 − 0.6; negatives from 0.5 on: 0.8 − 0.5.
    "threshold_consistent_margin": (losses.ThresholdConsistentMarginLoss(), UNITS, 0.3 + 0.3),
}


@pytest.mark.parametrize("name", LOOPS)
def test_by_hand(name):
    loss, x, expected = BY_HAND[name]
    np.testing.assert_allclose(numpy(loss(PAIR_AND_ONE, x)), expected, rtol=1e-5)


def test_hard_pairs_keep_their_digits():
    """Where a plain softmax underflows: the positive opposite to the anchor, a negative on it."""
    x = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]], "float32")
    # Anchor 0: log(e^−100 + e^100) + 100 = 200; anchor 1: both at −1, log 2.
    value = numpy(losses.SupConLoss(0.01)(PAIR_AND_ONE, x))
    np.testing.assert_allclose(value, (200 + math.log(2)) / 2, rtol=1e-6)
    # Squared distances: 0 to the negative, 900 to the positive; then 900 to both.
    far = np.array([[0.0], [30.0], [0.0]], "float32")
    value = numpy(losses.SoftNearestNeighborLoss()(PAIR_AND_ONE, far))
    np.testing.assert_allclose(value, (900 + math.log(2)) / 2, rtol=1e-6)


def test_smooth_ap_does_not_want_sorted_labels_or_equal_classes():
    """Defects of a peer: its value changes when a batch is shuffled, or when classes differ in size."""
    labels = np.array([0, 1, 0, 2, 1, 0, 2, 2, 1, 0])
    order = np.random.default_rng(4).permutation(10)
    expected = oracles.smooth_ap(X, labels)
    np.testing.assert_allclose(numpy(losses.SmoothAPLoss()(labels, X)), expected, rtol=2e-5)
    shuffled = numpy(losses.SmoothAPLoss()(labels[order], X[order]))
    np.testing.assert_allclose(shuffled, expected, rtol=2e-5)


def test_margin_loss_leaves_far_negatives_out_and_normalises_weights():
    """Beyond 1.4 a negative weighs nothing; an anchor all of whose negatives are there has only its positives."""
    x = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-1.0, 0.0, 0.0]], "float32")
    # d_01 = √0.4; both negative distances are beyond 1.4 (2 and √3.6).
    value = numpy(losses.MarginLoss(margin=0.2, boundary=0.5)(PAIR_AND_ONE, x))
    np.testing.assert_allclose(value, math.sqrt(0.4) - 0.5 + 0.2, rtol=1e-5)


@pytest.mark.parametrize("distance", ["squared_euclidean", "manhattan", "snr", "poincare"])
def test_losses_take_other_distances(distance):
    """A loss never asks which distance it has: SupCon on −d, with d from the distance's own matrix."""
    rng = np.random.default_rng(1)
    x = 0.3 * rng.normal(size=(10, 4))
    loss = losses.SupConLoss(1.0, distance=distance)
    d = numpy(loss.distance.pairwise(ops.convert_to_tensor(x.astype("float32"))))
    expected = oracles.sup_con(
        x, BATCHES["usual"], 1.0, similarities=lambda _: -d.astype("float64")
    )
    np.testing.assert_allclose(numpy(loss(BATCHES["usual"], x)), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["multi_similarity", "circle", "threshold_consistent_margin"])
def test_margins_on_a_similarity_want_a_bounded_one(name):
    with pytest.raises(
        ValueError, match='must have a bounded similarity.*euclidean.*distance="cosine"'
    ):
        make(name, distance="euclidean")
    assert make(name, distance="angular").distance.bounded


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: losses.SupConLoss(-0.1), "`temperature` of SupConLoss must be a finite number > 0"),
        (lambda: losses.MultiSimilarityLoss(alpha=0), "`alpha` of MultiSimilarityLoss"),
        (lambda: losses.MultiSimilarityLoss(beta=-1), "`beta` of MultiSimilarityLoss"),
        (lambda: losses.MultiSimilarityLoss(base=2), "`base` of MultiSimilarityLoss"),
        (lambda: losses.CircleLoss(margin=1.0), "`margin` of CircleLoss"),
        (lambda: losses.CircleLoss(scale=0), "`scale` of CircleLoss"),
        (lambda: losses.SoftNearestNeighborLoss(0), "`temperature` of SoftNearestNeighborLoss"),
        (lambda: losses.LiftedStructureLoss(-1), "`margin` of LiftedStructureLoss"),
        (lambda: losses.GeneralizedLiftedStructureLoss(-1), "`margin` of GeneralizedLiftedStr"),
        (lambda: losses.MarginLoss(margin=-1), "`margin` of MarginLoss"),
        (lambda: losses.MarginLoss(boundary=0), "`boundary` of MarginLoss"),
        (lambda: losses.MarginLoss(miner="hard"), "Unknown miner name 'hard'.*Did you mean 'hardest'"),
        (lambda: losses.AngularLoss(90), "`angle` of AngularLoss must be a finite number > 0 and <= 65"),
        (lambda: losses.FastAPLoss(0), "`bins` of FastAPLoss must be a whole number >= 1"),
        (lambda: losses.FastAPLoss(2.5), "`bins` of FastAPLoss"),
        (lambda: losses.SmoothAPLoss(0), "`temperature` of SmoothAPLoss"),
        (lambda: losses.RecallAtKSurrogateLoss(k=()), "`k` of RecallAtKSurrogateLoss"),
        (lambda: losses.RecallAtKSurrogateLoss(k=(1, 1)), "`k` of RecallAtKSurrogateLoss"),
        (lambda: losses.RecallAtKSurrogateLoss(rank_temperature=0), "`rank_temperature` of Recall"),
        (lambda: losses.RecallAtKSurrogateLoss(recall_temperature=0), "`recall_temperature` of Re"),
        (lambda: losses.ThresholdConsistentMarginLoss(positive_margin=2), "`positive_margin` of Thre"),
        (lambda: losses.ThresholdConsistentMarginLoss(negative_weight=-1), "`negative_weight` of Thr"),
    ],
)  # fmt: skip
def test_bad_arguments(build, words):
    with pytest.raises(ValueError, match=words):
        build()
