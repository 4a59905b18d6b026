"""Triplet loss with every miner against a loop over triplets in float64."""

import numpy as np
import pytest
from keras import ops

from keras_metric import losses
from keras_metric.tensors.positives import FEW
from tests.support import BACKEND, assert_slopes, differentiated, numpy, value_and_gradient


def triplets_of(miner, distances, labels):
    """[(anchor, [(positive, negative)])] as the miner should choose, by loops."""
    rows = range(len(labels))
    chosen = []
    for a in rows:
        positives = [j for j in rows if labels[j] == labels[a] and j != a]
        negatives = [j for j in rows if labels[j] != labels[a]]
        here = []
        if positives and negatives:
            d = distances[a]

            def semi_hard(p, d=d, negatives=negatives):
                beyond = [n for n in negatives if d[n] > d[p]]
                return (
                    min(beyond, key=d.__getitem__) if beyond else max(negatives, key=d.__getitem__)
                )

            if miner == "all":
                here = [(p, n) for p in positives for n in negatives]
            elif miner == "hardest":
                here = [(max(positives, key=d.__getitem__), min(negatives, key=d.__getitem__))]
            elif miner == "semi_hard":
                here = [(p, semi_hard(p)) for p in positives]
            else:
                nearest = min(positives, key=d.__getitem__)
                here = [(nearest, semi_hard(nearest))]
        chosen.append((a, here))
    return chosen


def reference(x, labels, margin, miner, swap=False, averaging="active_terms"):
    x = np.asarray(x, "float64")
    d = np.array([[np.sqrt(np.sum((a - b) ** 2)) for b in x] for a in x])
    by_anchor = []
    for a, pairs in triplets_of(miner, d, labels):
        terms = []
        for p, n in pairs:
            negative = min(d[a, n], d[p, n]) if swap else d[a, n]
            gap = d[a, p] - negative
            terms.append(np.log1p(np.exp(gap)) if margin is None else max(0.0, gap + margin))
        by_anchor.append(terms)
    if averaging == "anchors":
        means = [np.mean(terms) for terms in by_anchor if terms]
        return np.mean(means) if means else 0.0
    terms = [t for terms in by_anchor for t in terms if averaging == "terms" or t > 0]
    return np.mean(terms) if terms else 0.0


MINERS = ["all", "hardest", "semi_hard", "easy_positive"]
RNG = np.random.default_rng(0)
BATCHES = {
    "few positives": (RNG.normal(size=(14, 5)), RNG.integers(0, 4, 14)),
    "many positives": (RNG.normal(size=(34, 3)), RNG.integers(0, 2, 34)),
    "singletons among them": (RNG.normal(size=(9, 4)), np.array([0, 0, 1, 2, 2, 2, 3, 4, 5])),
}


def test_many_positives_are_more_than_few():
    _, labels = BATCHES["many positives"]
    assert np.bincount(labels).max() - 1 > FEW


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize("margin", [0.2, None])
@pytest.mark.parametrize("swap", [False, True])
def test_value_and_gradient_equal_the_loop(batch, miner, margin, swap):
    x, labels = BATCHES[batch]
    # JAX compiles each of these, and averages by the same lines.
    for averaging in ("active_terms", "terms", "anchors")[: 1 if BACKEND == "jax" else 3]:
        loss = losses.TripletLoss(margin, miner=miner, swap=swap, averaging=averaging)
        value, gradient = differentiated(loss)(labels, x)

        def loop(e, averaging=averaging):
            return reference(e, labels, margin, miner, swap, averaging)

        np.testing.assert_allclose(value, loop(x), rtol=2e-5)
        assert_slopes(loop, x, gradient)


def test_by_hand():
    # On a line: anchors 0 and 1 are one class, 3 another. d: 0-1 = 1, 0-3 = 3, 1-3 = 2.
    # Triplets (0,1,3): 1 - 3 + 2.5 = 0.5 and (1,0,3): 1 - 2 + 2.5 = 1.5; the row at 3 has no positive.
    x = np.array([[0.0], [1.0], [3.0]], "float32")
    for miner in MINERS:
        loss = losses.TripletLoss(margin=2.5, miner=miner)
        np.testing.assert_allclose(numpy(loss(np.array([7, 7, 9]), x)), 1.0, rtol=1e-6)


def test_semi_hard_takes_the_nearest_beyond_the_positive_and_else_the_farthest():
    # Anchor 0, positive at 2. Negatives at 1, 2.5 and 4: nearest beyond is 2.5. For anchor 2 (x=2): positive at
    # distance 2, negatives at distances 1, 0.5 and 2: none beyond, farthest is 2.
    x = np.array([[0.0], [2.0], [1.0], [2.5], [4.0]], "float32")
    labels = np.array([0, 0, 1, 2, 3])
    # Terms: 2 - 2.5 + 1 = 0.5 and 2 - 2 + 1 = 1.
    loss = losses.TripletLoss(margin=1.0, miner="semi_hard", averaging="terms")
    np.testing.assert_allclose(numpy(loss(labels, x)), 0.75, rtol=1e-6)


@pytest.mark.parametrize("count", [3, FEW + 4])
def test_ties_between_positive_and_negative_are_not_beyond(count):
    # All points of one class coincide with the first negative: only the far negative is strictly beyond.
    x = np.zeros((count + 2, 2), "float32")
    x[-1] = [3.0, 4.0]
    labels = np.array([0] * count + [1, 2])
    loss = losses.TripletLoss(margin=1.0, miner="semi_hard", averaging="terms")
    # d_ap = 0, nearest strictly beyond is at 5: [0 - 5 + 1]+ = 0.
    assert numpy(loss(labels, x)) == 0
    # `all` with margin 1: half of the triplets (the near negative) cost 1, half cost 0.
    every = losses.TripletLoss(margin=1.0, miner="all", averaging="terms")
    np.testing.assert_allclose(numpy(every(labels, x)), 0.5, rtol=1e-6)
    active = losses.TripletLoss(margin=1.0, miner="all", averaging="active_terms")
    np.testing.assert_allclose(numpy(active(labels, x)), 1.0, rtol=1e-6)


@pytest.mark.parametrize("count", [3, FEW + 4])
def test_margin_zero_with_ties_has_no_active_term(count):
    x = np.zeros((count + 1, 2), "float32")
    labels = np.array([0] * count + [1])
    value, gradient = value_and_gradient(
        lambda e: losses.TripletLoss(margin=0.0, miner="all")(labels, e), x
    )
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("seed", range(8))
def test_equal_distances_between_integers_are_ties(seed):
    """Neither strictly farther nor, with a margin that just meets them, an active term."""
    rng = np.random.default_rng(seed)
    x, labels = rng.integers(-2, 4, (9, 2)).astype("float32"), rng.integers(0, 3, 9)
    for miner in ("semi_hard", "easy_positive", "all"):
        expected = reference(x, labels, 1.0, miner, False, "active_terms")
        value = numpy(losses.TripletLoss(1.0, miner=miner)(labels, x))
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_collapsed_embeddings_cost_the_margin():
    x = np.ones((8, 4), "float32")
    labels = np.repeat([0, 1], 4)
    for miner in MINERS:
        value, gradient = value_and_gradient(
            lambda e, m=miner: losses.TripletLoss(margin=0.3, miner=m)(labels, e), x
        )
        np.testing.assert_allclose(value, 0.3, rtol=1e-6)
        assert not gradient.any()  # a distance of 0 has a zero gradient


@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize("swap", [False, True])
def test_references_other_than_the_batch(miner, swap):
    """`compare` with the batch among more references gives each anchor what the whole batch would."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(10, 3)).astype("float32")
    labels = rng.integers(0, 3, 10)
    loss = losses.TripletLoss(0.5, miner=miner, swap=swap, averaging="terms")
    signs = np.where(labels[:, None] == labels[None, :], 1.0, -1.0) * (1 - np.eye(10))
    relations = ops.convert_to_tensor(signs[:4].astype("float32"))
    some = loss.compare(ops.convert_to_tensor(x[:4]), ops.convert_to_tensor(x), relations)
    terms = []
    d = np.sqrt(((x[:, None].astype("float64") - x[None]) ** 2).sum(-1))
    for a, pairs in triplets_of(miner, d, labels)[:4]:
        for p, n in pairs:
            terms.append(max(0.0, d[a, p] - (min(d[a, n], d[p, n]) if swap else d[a, n]) + 0.5))
    np.testing.assert_allclose(numpy(some).mean(), np.mean(terms), rtol=1e-5)


def test_weighted_miners_weigh_triplets():
    """With the weights of a pair miner a triplet weighs the product of its pairs."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(12, 4)).astype("float32")
    labels = np.repeat(np.arange(3), 4)
    for miner in ("multi_similarity", "distance_weighted"):
        loss = losses.TripletLoss(0.2, miner=miner, averaging="terms")
        signs = np.where(labels[:, None] == labels[None, :], 1.0, -1.0) * (1 - np.eye(12))
        d = np.sqrt(((x[:, None].astype("float64") - x[None]) ** 2).sum(-1))
        pairs = loss.miner.pairs(
            ops.convert_to_tensor(d.astype("float32")),
            ops.convert_to_tensor(signs.astype("float32")),
            (ops.convert_to_tensor(x), ops.convert_to_tensor(x)),
        )
        positives, negatives = map(numpy, pairs)
        total = weight = 0.0
        for a in range(12):
            # As triplets the negatives of an anchor weigh 1 together; as pairs as much as its positives.
            share = max(positives[a].sum(), 1) if miner == "distance_weighted" else 1.0
            for p in range(12):
                for n in range(12):
                    w = positives[a, p] * negatives[a, n] / share
                    total += w * max(0.0, d[a, p] - d[a, n] + 0.2)
                    weight += w
        np.testing.assert_allclose(numpy(loss(labels, x)), total / weight, rtol=1e-4)


def test_pairs_are_mined_by_similarity_not_by_angle():
    """The ε of `multi_similarity` is 0.1 on cosines, whatever the distance."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(4), 3)
    x = np.eye(8)[labels] + 0.7 * rng.normal(size=(3, 12, 8))[2]
    loss = losses.TripletLoss(0.2, "angular", "multi_similarity", averaging="terms")
    x = x.astype("float32")
    units = x / np.linalg.norm(x.astype("float64"), axis=1, keepdims=True)
    s = np.clip(units @ units.T, -1, 1)
    d, terms = np.arccos(s), []
    for a in range(12):
        positives = [j for j in range(12) if labels[j] == labels[a] and j != a]
        negatives = [j for j in range(12) if labels[j] != labels[a]]
        for p in [p for p in positives if s[a, p] - 0.1 < s[a, negatives].max()]:
            for n in [n for n in negatives if s[a, n] + 0.1 > s[a, positives].min()]:
                terms.append(max(0.0, d[a, p] - d[a, n] + 0.2))
    np.testing.assert_allclose(numpy(loss(labels, x)), np.mean(terms), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"margin": -0.2}, "`margin` of TripletLoss must be a finite number >= 0"),
        ({"margin": float("nan")}, "`margin` of TripletLoss"),
        ({"miner": "semihard"}, "Unknown miner name 'semihard'.*Did you mean 'semi_hard'"),
        ({"distance": "hamming"}, "differentiable"),
        ({"averaging": "mean"}, "`averaging` of TripletLoss must be one of"),
        ({"relation": "equal"}, "`relation` of TripletLoss"),
        ({"ignore_id": 0.5}, "`ignore_id` of TripletLoss"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        losses.TripletLoss(**arguments)
