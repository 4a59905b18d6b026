"""Intervals, folds, calibration and consistency of thresholds, against slow references and known truths."""

import numpy as np
import pytest

from keras_metric import evaluation
from keras_metric.evaluation import bootstrap, pair_tiles


def people(seed=0, identities=30, each=6, dimensions=8, spread=1.0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(identities, dimensions))
    labels = np.repeat(np.arange(identities), each)
    return means[labels] + spread * rng.normal(size=(len(labels), dimensions)), labels


def all_pairs(x, labels):
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    first, second = np.triu_indices(len(x), 1)
    distances = 1 - (unit[first] * unit[second]).sum(axis=1)
    return distances, labels[first] == labels[second], labels[first], labels[second]


# Intervals


def test_intervals_of_retrieval_are_those_of_drawing_classes():
    x, labels = people()
    result = evaluation.retrieval(x, labels)
    found = evaluation.bootstrap_retrieval(result, labels, replicates=4000)
    rng = np.random.default_rng(1)
    values = result.per_query["map@r"]
    draws = []
    for _ in range(4000):
        drawn = rng.integers(30, size=30)
        draws.append(np.mean([values[labels == one].mean() for one in drawn]))
    low, high = np.quantile(draws, [0.025, 0.975])
    width = high - low
    assert found["map@r"].low == pytest.approx(low, abs=0.06 * width)
    assert found["map@r"].high == pytest.approx(high, abs=0.06 * width)
    for name, value in result.items():
        assert found[name].low <= value <= found[name].high
    narrow = evaluation.bootstrap_retrieval(result, labels, level=0.5, replicates=4000)["map@r"]
    assert found["map@r"].low < narrow.low < narrow.high < found["map@r"].high


def test_intervals_of_retrieval_leave_out_what_does_not_count():
    values = {"hit@1": np.array([1.0, np.nan, 0.0, 0.0, 1.0, np.nan, 1.0])}
    labels = ["a", "b", "b", "b", "c", "d", "e"]
    found = evaluation.bootstrap_retrieval(values, labels, replicates=500)
    assert 0 <= found["hit@1"].low < found["hit@1"].high <= 1
    macro = evaluation.bootstrap_retrieval(values, labels, average="macro", replicates=500)
    assert macro["hit@1"].low >= found["hit@1"].low  # b weighs less
    nothing = evaluation.bootstrap_retrieval({"hit@1": np.full(7, np.nan)}, labels, replicates=9)
    assert np.isnan(nothing["hit@1"]).all()


def test_intervals_of_verification_cover_the_truth_where_pairs_hang_together():
    covered = {"identity": 0, "pair": 0}
    truth = np.mean([evaluation.verification(*all_pairs(*people(1000 + s))[:2])["auc"] for s in range(60)])  # fmt: skip
    for seed in range(40):
        x, labels = people(seed)
        by_identity = evaluation.bootstrap_verification(x, labels, replicates=120, seed=seed)["auc"]
        distances, same, _, _ = all_pairs(x, labels)
        by_pair = evaluation.bootstrap_pairs(distances, same, replicates=60)["auc"]
        covered["identity"] += by_identity.low <= truth <= by_identity.high
        covered["pair"] += by_pair.low <= truth <= by_pair.high
    assert covered["identity"] >= 34  # 38 expected
    assert covered["pair"] < covered["identity"]  # drawing pairs pretends to know more than it does


def test_intervals_of_pairs_and_of_embeddings_agree():
    x, labels = people(spread=1.5)
    point = evaluation.verification_from_embeddings(x, labels, strategy="eer")
    whole = evaluation.bootstrap_verification(x, labels, strategy="eer", replicates=300)
    distances, same, left, right = all_pairs(x, labels)
    given = evaluation.bootstrap_pairs(
        distances, same, np.stack([left, right], axis=1), strategy="eer", replicates=300, seed=5
    )
    assert set(whole) == set(given) == set(point) - {"threshold"}
    for name in whole:
        assert whole[name].low <= point[name] <= whole[name].high, name
        width = whole[name].high - whole[name].low
        assert given[name].low == pytest.approx(whole[name].low, abs=0.4 * width + 1e-9), name
        assert given[name].high == pytest.approx(whole[name].high, abs=0.4 * width + 1e-9), name


def test_a_sample_of_pairs_stands_for_all(monkeypatch):
    x, labels = people(identities=40, spread=1.5)
    whole = evaluation.bootstrap_verification(x, labels, strategy="eer", replicates=200)
    monkeypatch.setattr(bootstrap, "MOST_PAIRS", 5000)  # of 28,080
    some = evaluation.bootstrap_verification(x, labels, strategy="eer", replicates=200)
    for name in ("auc", "eer", "accuracy"):
        width = whole[name].high - whole[name].low
        assert some[name].low == pytest.approx(whole[name].low, abs=0.5 * width), name
        assert some[name].high == pytest.approx(whole[name].high, abs=0.5 * width), name


@pytest.mark.parametrize("distance", ["cosine", "snr"])
def test_intervals_are_of_the_figures_of_all_pairs_where_some_are_drawn(distance, monkeypatch):
    # The threshold accepts a thousandth of 27,360 different pairs, and of few identities fewer different ones meet.
    x, labels = people(identities=20, each=12, spread=1.5)
    options = {"distance": distance, "far": (0.1, 0.001), "strategy": "far"}
    point = evaluation.verification_from_embeddings(x, labels, **options)
    whole = evaluation.bootstrap_verification(x, labels, replicates=200, **options)
    monkeypatch.setattr(bootstrap, "MOST_PAIRS", 2000)
    monkeypatch.setattr(pair_tiles, "TILE", 64 * 90)
    some = evaluation.bootstrap_verification(x, labels, replicates=200, **options)
    assert 0 < point["recall"] < 0.2 and 0 < point["precision"] < 1
    for found in (whole, some):
        for name in found:
            assert found[name].low <= point[name] <= found[name].high, name
    same = {"threshold": point["threshold"], **options}
    assert evaluation.bootstrap_verification(x, labels, replicates=200, **same) == some


def test_intervals_say_what_is_missing():
    x, labels = people(identities=3)
    with pytest.warns(UserWarning, match="found 3 identities to draw from"):
        evaluation.bootstrap_verification(x, labels, replicates=5)
    with pytest.warns(UserWarning, match="every interval is NaN"):
        found = evaluation.bootstrap_pairs([0.1, 0.2], [1, 1])
    assert all(np.isnan(bounds).all() for bounds in found.values())
    with pytest.raises(ValueError, match="`level` of bootstrap_verification must be a finite numb"):
        evaluation.bootstrap_verification(x, labels, level=95)
    with pytest.raises(ValueError, match="one label a query. Received: 6 for 3 queries"):
        evaluation.bootstrap_retrieval({"hit@1": np.ones(3)}, range(6))
    with pytest.raises(
        ValueError, match="must be two for each pair. Received: 3 and 3 for 2 pairs"
    ):
        evaluation.bootstrap_pairs([0.1, 0.2], [1, 0], np.zeros((3, 2), int))


# Folds


def test_folds_are_judged_by_the_threshold_of_the_others():
    distances, same, _, _ = all_pairs(*people(spread=0.5))
    fold = np.random.default_rng(0).integers(0, 5, len(same))
    result = evaluation.verification_folds(distances, same, fold)
    accuracies = []
    for k in range(5):
        here = fold == k
        others = evaluation.verification(distances[~here], same[~here])
        told = distances[here] <= others["threshold"]
        accuracies.append((told == same[here]).mean())
        assert result.per_fold["threshold"][k] == others["threshold"]
    np.testing.assert_allclose(result.per_fold["accuracy"], accuracies)
    assert result["accuracy"] == pytest.approx(np.mean(accuracies))
    assert result["accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1))
    assert result["accuracy_standard_error"] == pytest.approx(np.std(accuracies, ddof=1) / 5**0.5)
    named = evaluation.verification_folds(distances, same, np.array(list("abcde"))[fold])
    assert dict(named) == dict(result)


def test_a_number_of_folds_deals_both_kinds_evenly():
    distances, same, _, _ = all_pairs(*people(identities=10))
    result = evaluation.verification_folds(distances, same, 7, strategy="eer")
    again = evaluation.verification_folds(distances, same, 7, strategy="eer")
    assert len(result.per_fold["accuracy"]) == 7 and dict(result) == dict(again)
    assert 0.5 < result["accuracy"] < 1


def test_folds_that_cannot_be_are_refused():
    distances, same = np.arange(6.0), np.array([1, 1, 1, 0, 0, 0])
    with pytest.raises(
        ValueError, match="`folds` of verification_folds must not exceed the 3 same"
    ):
        evaluation.verification_folds(distances, same, 4)
    with pytest.raises(ValueError, match="Fold 0 of verification_folds must have same and differe"):
        evaluation.verification_folds(distances, same, same)
    with pytest.raises(ValueError, match="Received: 2 for 6 pairs"):
        evaluation.verification_folds(distances, same, [0, 1])
    with pytest.raises(ValueError, match="must be at least two"):
        evaluation.verification_folds(distances, same, np.zeros(6, int))


# Calibration


def test_a_calibrated_threshold_is_that_of_verification():
    distances, same, _, _ = all_pairs(*people(spread=1.5))
    for strategy in ("accuracy", "f0.5", "far", "eer"):
        options = {"strategy": strategy, "far_target": 0.02}
        expected = evaluation.verification(distances, same, **options)["threshold"]
        assert evaluation.calibrate_threshold(distances, same, **options) == expected
    with pytest.raises(ValueError, match="calibrate_threshold needs same and different pairs"):
        evaluation.calibrate_threshold([0.1, 0.2], [1, 1])


def true_pairs(n, share=0.3, seed=0):
    """Distances whose probability of "same" is known: two normals of equal width make a logistic curve."""
    rng = np.random.default_rng(seed)
    same = rng.random(n) < share
    return rng.normal(np.where(same, 0.8, 1.6), 0.4), same


def true_probability(distances, share):
    odds = share / (1 - share) * np.exp(((distances - 1.6) ** 2 - (distances - 0.8) ** 2) / 0.32)
    return odds / (1 + odds)


@pytest.mark.parametrize("method, tolerance", [("platt", 0.015), ("isotonic", 0.06)])
def test_probabilities_are_the_true_ones(method, tolerance):
    distances, same = true_pairs(40000)
    grid = np.linspace(0.2, 2.2, 21)
    probability = evaluation.calibrate_probability(distances, same, method)
    np.testing.assert_allclose(probability(grid), true_probability(grid, 0.3), atol=tolerance)
    assert (np.diff(probability(np.linspace(-5, 9, 200))) <= 1e-12).all()
    assert probability(grid[:, None]).shape == (21, 1) and 0 <= float(probability(0.5)) <= 1
    # Where few pairs are the same.
    rare = evaluation.calibrate_probability(distances, same, method, same_share=0.01)
    np.testing.assert_allclose(rare(grid), true_probability(grid, 0.01), atol=2 * tolerance)
    with pytest.raises(ValueError, match="must be finite"):
        probability(np.nan)


def test_platt_is_finite_where_distances_part_the_kinds():
    probability = evaluation.calibrate_probability([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0])
    assert np.isfinite([probability.scale, probability.bias]).all() and probability.scale > 0
    assert 0.5 < probability(0.15) < 1 and 0 < probability(0.85) < 0.5
    with pytest.warns(UserWarning, match="the probability rises"):
        evaluation.calibrate_probability([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])


def test_wrong_calibration_is_refused():
    with pytest.raises(ValueError, match="`method` of calibrate_probability must be one of"):
        evaluation.calibrate_probability([0.1, 0.2], [1, 0], "sigmoid")
    with pytest.raises(ValueError, match="`same_share` of calibrate_probability"):
        evaluation.calibrate_probability([0.1, 0.2], [1, 0], same_share=1)


# OPIS


def opis_by_loops(x, labels, far, points):
    distances, same, left, right = all_pairs(x, labels)
    thresholds = np.linspace(*np.quantile(distances[~same], far), points)
    utilities = []
    for one in np.unique(labels):
        inside = same & (left == one)
        if not inside.any():
            continue
        outside = ~same & ((left == one) | (right == one))
        sensitivity = np.array([(distances[inside] <= t).mean() for t in thresholds])
        specificity = np.array([(distances[outside] > t).mean() for t in thresholds])
        utilities.append(2 * sensitivity * specificity / (sensitivity + specificity))
    utilities = np.array(utilities)
    return ((utilities - utilities.mean(axis=0)) ** 2).mean(axis=1), utilities, thresholds


@pytest.mark.parametrize("way", ["exact", "bins"])
def test_opis_is_that_of_the_loops(way, monkeypatch):
    if way == "bins":
        monkeypatch.setattr(pair_tiles, "EXACT", 0)
    monkeypatch.setattr(pair_tiles, "TILE", 64 * 90)
    x, labels = people(identities=12, each=9, spread=1.5)
    labels[-1] = 99  # a class of one
    order = np.random.default_rng(0).permutation(len(x))
    x, labels = x[order], labels[order]
    expected, utilities, thresholds = opis_by_loops(x, labels, (0.02, 0.2), 31)
    result = evaluation.opis(x, labels, far=(0.02, 0.2), points=31)
    tolerance = 1e-9 if way == "exact" else 1e-3
    assert result["opis"] == pytest.approx(expected.mean(), rel=tolerance * 10)
    assert result["utility"] == pytest.approx(utilities.mean(), rel=tolerance)
    np.testing.assert_allclose(result.thresholds, thresholds, rtol=tolerance)
    assert list(result.per_class) == list(range(12))
    np.testing.assert_allclose(list(result.per_class.values()), expected, atol=tolerance)


def test_opis_is_small_for_classes_alike_and_large_for_others():
    x, labels = people(identities=20, each=20, dimensions=64, spread=0.5)
    alike = evaluation.opis(x, labels)["opis"]
    wide = x.copy()
    wide[::2] += np.random.default_rng(1).normal(size=wide[::2].shape) * (labels[::2, None] % 2) * 3
    assert evaluation.opis(wide, labels)["opis"] > 10 * alike
    with pytest.warns(UserWarning, match="needs two classes with two examples each"):
        assert np.isnan(evaluation.opis(x[:20], labels[:20])["opis"])
    with pytest.raises(ValueError, match="`far` of opis must rise"):
        evaluation.opis(x, labels, far=(0.1, 0.01))
