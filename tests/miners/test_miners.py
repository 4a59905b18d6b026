"""Every miner against loops, on matrices with ties, anchors without positives or negatives, and pairs left out."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_metric import miners
from keras_metric.tensors.positives import FEW
from tests import oracles
from tests.support import numpy

RNG = np.random.default_rng(0)
NAMES = miners.MINERS.names()


def relations_of(labels, left_out=0.0):
    """+1, −1 and 0 of ids, with a share of the pairs left out in both directions."""
    labels = np.asarray(labels)
    signs = np.where(labels[:, None] == labels[None, :], 1.0, -1.0)
    np.fill_diagonal(signs, 0)
    out = np.triu(RNG.random(signs.shape) < left_out)
    return np.where(out | out.T, 0.0, signs)


# name → (relations, embeddings); whole coordinates make many distances equal.
BATCHES = {
    "usual": (relations_of([0, 0, 0, 1, 1, 2, 2, 2, 3, 4]), RNG.normal(size=(10, 3))),
    "ties": (relations_of([0, 0, 0, 1, 1, 2, 2, 2, 3, 4]), RNG.integers(0, 2, (10, 3))),
    "all equal": (relations_of([0, 0, 1, 1]), np.ones((4, 3))),
    "many positives": (relations_of([0] * (FEW + 3) + [1] * 4), RNG.integers(0, 4, (FEW + 7, 2))),
    "one class": (relations_of([0] * 5), RNG.normal(size=(5, 3))),
    "all singletons": (relations_of(range(5)), RNG.normal(size=(5, 3))),
    "one row": (relations_of([0]), RNG.normal(size=(1, 3))),
    "pairs left out": (relations_of([0, 0, 0, 0, 1, 1, 1, 2, 2], 0.4), RNG.normal(size=(9, 3))),
    "nothing": (np.zeros((4, 4)), RNG.normal(size=(4, 3))),
}


def semi_hard(d, p, negatives):
    """Column of the nearest negative strictly beyond p, else of the farthest."""
    beyond = [n for n in negatives if d[n] > d[p]]
    return min(beyond, key=d.__getitem__) if beyond else max(negatives, key=d.__getitem__)


def all_of(d, positives, negatives):
    return dict.fromkeys(positives, 1.0), dict.fromkeys(negatives, 1.0)


def hardest_of(d, positives, negatives):
    return (
        {max(positives, key=d.__getitem__): 1.0} if positives else {},
        {min(negatives, key=d.__getitem__): 1.0} if negatives else {},
    )


def semi_hard_of(d, positives, negatives):
    if not negatives:
        return {}, {}
    chosen = [semi_hard(d, p, negatives) for p in positives]
    return dict.fromkeys(positives, 1.0), {n: float(chosen.count(n)) for n in chosen}


def easy_positive_of(d, positives, negatives):
    if not positives or not negatives:
        return {}, {}
    nearest = min(positives, key=d.__getitem__)
    return {nearest: 1.0}, {semi_hard(d, nearest, negatives): 1.0}


def multi_similarity_of(d, positives, negatives, epsilon=0.1):
    if not positives or not negatives:
        return {}, {}
    # In similarities −d, as the contract has it.
    kept = [p for p in positives if -d[p] - epsilon < max(-d[n] for n in negatives)]
    pushed = [n for n in negatives if -d[n] + epsilon > min(-d[p] for p in positives)]
    return dict.fromkeys(kept, 1.0), dict.fromkeys(pushed, 1.0)


LOOPS = {
    "all": all_of,
    "hardest": hardest_of,
    "semi_hard": semi_hard_of,
    "easy_positive": easy_positive_of,
    "multi_similarity": multi_similarity_of,
}


def chosen(weights, distances):
    """Sorted (distance, weight) of what has a weight: columns at equal distances are as good as each other."""
    pairs = {}
    for d, w in zip(distances, weights, strict=True):
        if w:
            pairs[round(float(d), 5)] = pairs.get(round(float(d), 5), 0.0) + float(w)
    return pairs


def pairs_of(name, batch):
    relations, x = BATCHES[batch]
    d = oracles.euclidean(x).astype("float32")
    rows = ops.convert_to_tensor(np.asarray(x, "float32"))
    tensors = (ops.convert_to_tensor(d), ops.convert_to_tensor(relations.astype("float32")))
    return d, relations, [numpy(w) for w in miners.get(name).pairs(*tensors, (rows, rows))]


def columns(signs):
    return np.flatnonzero(signs > 0).tolist(), np.flatnonzero(signs < 0).tolist()


def test_every_miner_has_a_loop():
    assert sorted([*LOOPS, "distance_weighted"]) == NAMES


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", LOOPS)
def test_pairs_equal_the_loop(name, batch):
    d, relations, (positives, negatives) = pairs_of(name, batch)
    for a in range(len(d)):
        expected = LOOPS[name](d[a], *columns(relations[a]))
        for weights, loop in ((positives[a], expected[0]), (negatives[a], expected[1])):
            row = np.zeros(len(d))
            for column, weight in loop.items():
                row[column] = weight
            assert chosen(weights, d[a]) == pytest.approx(chosen(row, d[a])), a


@pytest.mark.parametrize("batch", BATCHES)
def test_distance_weights_equal_the_loop(batch):
    d, relations, (positives, negatives) = pairs_of("distance_weighted", batch)
    x = BATCHES[batch][1]
    np.testing.assert_array_equal(positives, relations > 0)
    of = {a: columns(relations[a])[1] for a in range(len(d))}
    shares = oracles.distance_weights(x, of)
    for a in range(len(d)):
        row = np.zeros(len(d))
        for n, share in shares[a].items():
            row[n] = share * (relations[a] > 0).sum()
        np.testing.assert_allclose(negatives[a], row, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", NAMES)
def test_no_pair_is_both_or_was_left_out(name, batch):
    _, relations, (positives, negatives) = pairs_of(name, batch)
    assert np.isfinite(positives).all() and np.isfinite(negatives).all()
    assert (positives >= 0).all() and (negatives >= 0).all()
    assert not positives[relations <= 0].any()
    assert not negatives[relations >= 0].any()


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", ["all", "hardest", "semi_hard", "easy_positive"])
@pytest.mark.parametrize("margin", [0.5, None])
def test_triplet_sums_equal_the_loop(name, batch, margin):
    relations, x = BATCHES[batch]
    d = oracles.euclidean(x).astype("float32")
    tensors = (ops.convert_to_tensor(d), ops.convert_to_tensor(relations.astype("float32")))
    found = [numpy(part) for part in miners.get(name).triplet_sums(*tensors, margin)]
    for a in range(len(d)):
        positives, negatives = columns(relations[a])
        triplets = []
        if positives and negatives:
            if name == "all":
                triplets = [(p, n) for p in positives for n in negatives]
            elif name == "hardest":
                triplets = [
                    tuple(next(iter(part)) for part in hardest_of(d[a], positives, negatives))
                ]
            elif name == "semi_hard":
                triplets = [(p, semi_hard(d[a], p, negatives)) for p in positives]
            else:
                triplets = [
                    tuple(next(iter(part)) for part in easy_positive_of(d[a], positives, negatives))
                ]
        gaps = [float(d[a, p]) - float(d[a, n]) for p, n in triplets]
        terms = [oracles.softplus(g) if margin is None else max(0.0, g + margin) for g in gaps]
        active = len(terms) if margin is None else sum(t > 1e-6 for t in terms)
        expected = (sum(terms), len(terms), active)
        np.testing.assert_allclose([part[a] for part in found], expected, rtol=1e-4, atol=1e-4)


def test_every_soft_term_is_active_also_where_it_underflows():
    """softplus(−1000) is 0 in float32, and still one of the terms that the mean is over."""
    d = np.array([[0.0, 0.0, 1000.0], [0.0, 0.0, 1000.0], [1000.0, 1000.0, 0.0]], "float32")
    signs = relations_of([0, 0, 1]).astype("float32")
    for name in ("all", "hardest"):
        sums = miners.get(name).triplet_sums(*map(ops.convert_to_tensor, (d, signs)), None)
        np.testing.assert_array_equal(numpy(sums.active), [1, 1, 0])


def test_multi_similarity_mining_is_strict():
    # Anchor 0: positive at 0.5, negative at 0.625. At ε = 0.125 both comparisons are of equal numbers.
    d = np.array([[0.0, 0.5, 0.625], [0.5, 0.0, 2.0], [0.625, 2.0, 0.0]], "float32")
    signs = ops.convert_to_tensor(relations_of([0, 0, 1]).astype("float32"))
    d = ops.convert_to_tensor(d)
    for epsilon, kept in ((0.125, 0.0), (0.126, 1.0)):
        positives, negatives = miners.MultiSimilarityMiner(epsilon).pairs(d, signs)
        assert numpy(positives)[0, 1] == kept
        assert numpy(negatives)[0, 2] == kept


def test_distance_weights_in_many_dimensions_do_not_overflow():
    """In 512 dimensions 1/q is about 10^150 at the cutoff: weights are normalised in logarithms."""
    x = RNG.normal(size=(6, 512)).astype("float32")
    x[1] = x[0] + 0.02 * x[1]  # near: clipped at the cutoff, and far ahead of the rest
    x = ops.convert_to_tensor(x)
    signs = ops.convert_to_tensor(relations_of([0, 1, 0, 2, 3, 4]).astype("float32"))
    _, negatives = miners.DistanceWeightedMiner().pairs(ops.zeros((6, 6)), signs, (x, x))
    row = numpy(negatives)[0]
    np.testing.assert_allclose(row.sum(), 1, rtol=1e-5)
    assert row[1] > 0.999


@pytest.mark.parametrize("name", NAMES)
def test_config_round_trip(name):
    arguments = {
        "multi_similarity": {"epsilon": 0.3},
        "distance_weighted": {"cutoff": 0.3, "limit": 1.2},
    }
    miner = miners.get(name, **arguments.get(name, {}))
    config = keras.saving.serialize_keras_object(miner)
    again = miners.get(config)
    assert type(again) is type(miner)
    assert again.get_config() == miner.get_config() == arguments.get(name, {})


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: miners.MultiSimilarityMiner(-0.1), "`epsilon` of MultiSimilarityMiner"),
        (lambda: miners.DistanceWeightedMiner(cutoff=0), "`cutoff` of DistanceWeightedMiner"),
        (lambda: miners.DistanceWeightedMiner(limit=2), "`limit` of DistanceWeightedMiner"),
        (lambda: miners.get("semihard"), "Unknown miner name 'semihard'.*Did you mean 'semi_hard'"),
    ],
)
def test_bad_arguments(build, words):
    with pytest.raises(ValueError, match=words):
        build()
