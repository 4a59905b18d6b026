"""Verification against loops over every threshold, and over all pairs of a set."""

import warnings

import numpy as np
import pytest

from keras_metric import distances as room
from keras_metric import evaluation
from keras_metric.evaluation import pair_tiles
from tests.distances.test_distances import REFERENCES
from tests.support import BACKEND


def pairs(seed, n=300, steps=None):
    rng = np.random.default_rng(seed)
    same = rng.random(n) < 0.3
    same[:2] = [True, False]
    distances = rng.gamma(3.0, 0.2, n) + 0.4 * ~same
    return (np.round(distances * steps) / steps if steps else distances), same


def curve_by_loops(distances, same):
    """(threshold, FAR, TAR) that accepts nothing, and of every distance."""
    points = [(-np.inf, 0.0, 0.0)]
    for threshold in sorted(set(distances.tolist())):
        told = distances <= threshold
        points.append((threshold, told[~same].mean(), told[same].mean()))
    return points


def figures_by_loops(distances, same):
    points = curve_by_loops(distances, same)
    gaps = distances[~same] - distances[same][:, None]
    figures = {"auc": ((gaps > 0) + 0.5 * (gaps == 0)).mean()}
    for (_, far, tar), (_, next_far, next_tar) in zip(points, points[1:], strict=False):
        if next_far >= 1 - next_tar:
            before, after = 1 - tar - far, next_far - (1 - next_tar)
            figures["eer"] = far + (next_far - far) * before / (before + after)
            break
    for target in (0.1, 0.01, 0.001):
        figures[f"tar@far={target:g}"] = max(tar for _, far, tar in points if far <= target)
    return figures


def at_threshold(distances, same, threshold):
    told = distances <= threshold
    hits = (told & same).sum()
    return {
        "accuracy": (told == same).mean(),
        "precision": hits / told.sum() if told.any() else np.nan,
        "recall": hits / same.sum(),
        "f1": 2 * hits / (told.sum() + same.sum()),
    }


def check(result, distances, same, tolerance=1e-12):
    expected = figures_by_loops(distances, same)
    expected.update(at_threshold(distances, same, result["threshold"]))
    for name, value in expected.items():
        np.testing.assert_allclose(result[name], value, atol=tolerance, err_msg=name)
    assert set(result) == {*expected, "threshold"}


@pytest.mark.parametrize("steps", [None, 10, 2])
@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_the_loops(seed, steps):
    distances, same = pairs(seed, steps=steps)
    result = evaluation.verification(distances, same)
    check(result, distances, same)
    best = max(np.mean((distances <= t) == same) for t, _, _ in curve_by_loops(distances, same))
    assert result["accuracy"] == pytest.approx(best)
    assert result.pairs == (same.sum(), (~same).sum())
    assert set(result.errors.values()) == {0.0}


def test_by_hand():
    # Same at 1, 2, 4; different at 2, 3, 5, 6: 2.5 + 3.5 ... of 12 orderings 1: 4, 2: 3.5, 4: 2.
    result = evaluation.verification(np.array([1, 2, 4, 2, 3, 5, 6]), [1, 1, 1, 0, 0, 0, 0])
    assert result["auc"] == pytest.approx(9.5 / 12)
    # Points (FAR, TAR): (0, 0), (0, 1/3), (1/4, 2/3), (1/2, 2/3), (1/2, 1): FAR = FRR between the 3rd and the 4th.
    assert result["eer"] == pytest.approx(1 / 3)
    assert result["tar@far=0.1"] == pytest.approx(1 / 3)
    assert result["threshold"] == 1.5 and result["accuracy"] == pytest.approx(5 / 7)
    np.testing.assert_allclose(result.curve.far[[0, 1, 2]], [0, 0, 1 / 4])
    np.testing.assert_allclose(result.curve.tar[[0, 1, 2]], [0, 1 / 3, 2 / 3])
    np.testing.assert_allclose(result.curve.frr, 1 - result.curve.tar)


@pytest.mark.parametrize("strategy", ["accuracy", "f1", "f2", "f0.5", "far", "eer"])
@pytest.mark.parametrize("seed", range(3))
def test_strategies_choose_what_they_say(strategy, seed):
    distances, same = pairs(seed, steps=20)
    result = evaluation.verification(distances, same, far_target=0.05, strategy=strategy)
    check(result, distances, same)
    points = curve_by_loops(distances, same)
    threshold = result["threshold"]
    told = distances <= threshold
    far, frr = told[~same].mean(), 1 - told[same].mean()
    if strategy == "far":
        assert far <= 0.05
        assert 1 - frr == pytest.approx(max(tar for _, f, tar in points if f <= 0.05))
    elif strategy == "eer":
        assert abs(far - frr) == pytest.approx(min(abs(f - 1 + tar) for _, f, tar in points))
    elif strategy != "accuracy":
        beta = float(strategy[1:])

        def score(t):
            told = distances <= t
            hits = (told & same).sum()
            false, missed = (told & ~same).sum(), (~told & same).sum()
            return (1 + beta**2) * hits / ((1 + beta**2) * hits + beta**2 * missed + false)

        assert score(threshold) == pytest.approx(max(score(t) for t, _, _ in points))


def test_the_eer_threshold_is_found_within_a_run_of_different_or_of_same_pairs():
    run = np.array([1, 0, 0, 0, 0, 1], bool)
    for same in (run, ~run):
        for distances in (np.arange(6.0), np.repeat(np.arange(3.0), 2)):
            result = evaluation.verification(distances, same, strategy="eer")
            check(result, distances, same)
            told = distances <= result["threshold"]
            gap = abs(told[~same].mean() - (~told)[same].mean())
            points = curve_by_loops(distances, same)
            assert gap == pytest.approx(min(abs(far - 1 + tar) for _, far, tar in points))


def test_the_threshold_stands_apart_from_the_distances_in_their_own_type():
    for dtype in ("float32", "float64"):
        distances = np.nextafter(np.full(1, 0.5, dtype), np.ones(1, dtype))
        pair = np.array([0.5, distances[0]], dtype)
        result = evaluation.verification(pair, [1, 0])
        assert result["accuracy"] == 1 and result["threshold"] == 0.5  # nothing lies between
        assert ((pair <= result["threshold"]) == [True, False]).all()
    wide = evaluation.verification(np.float32([0.1, 0.2, 0.7]), [1, 1, 0])
    assert wide["threshold"] == pytest.approx(0.45)
    assert np.float32(wide["threshold"]) == wide["threshold"]


def test_the_curve_gives_the_figures_of_any_threshold():
    distances, same = pairs(6)
    curve = evaluation.verification(distances, same).curve
    assert len(curve.thresholds) < len(distances)  # straight runs are left out
    for threshold in [-1.0, *np.random.default_rng(0).uniform(0, 2, 50), *distances[:20], 9.0]:
        for made in (curve, curve.thinned(30)):
            found = made.at(threshold)
            for name, value in at_threshold(distances, same, threshold).items():
                np.testing.assert_allclose(found[name], value, err_msg=name)
        told = distances <= threshold
        assert (found["far"], found["frr"]) == pytest.approx(
            (told[~same].mean(), (~told[same]).mean())
        )


def test_far_targets_between_and_beyond_the_points():
    distances, same = pairs(1, n=50)
    result = evaluation.verification(distances, same, far=(0, 0.5, 1.0))
    points = curve_by_loops(distances, same)
    for target, name in ((0, "tar@far=0"), (0.5, "tar@far=0.5"), (1.0, "tar@far=1")):
        assert result[name] == pytest.approx(max(tar for _, far, tar in points if far <= target))
    # 3 false of 10 are a FAR of 0.3, although 3 / 10 > 0.1 * 3 in floats.
    ordered = evaluation.verification(np.arange(20.0), np.arange(20) % 2 == 1, far=0.1 * 3)
    assert ordered["tar@far=0.3"] == pytest.approx(0.3)


def test_perfect_reversed_and_equal_distances():
    same = np.array([1, 1, 0, 0])
    perfect = evaluation.verification([0.1, 0.2, 0.3, 0.4], same)
    assert [perfect[name] for name in ("auc", "eer", "accuracy", "threshold")] == [1, 0, 1, 0.25]
    reverse = evaluation.verification([0.3, 0.4, 0.1, 0.2], same)
    assert (reverse["auc"], reverse["eer"], reverse["tar@far=0.1"]) == (0, 1, 0)
    equal = evaluation.verification([0.5] * 4, same)
    assert (equal["auc"], equal["eer"]) == (0.5, 0.5)


def test_a_threshold_that_accepts_nothing_is_below_every_distance_in_float32_too():
    result = evaluation.verification([0.0, 0.0, 0.0, 1.0], [0, 0, 1, 0])
    assert result["accuracy"] == 0.75 and np.isnan(result["precision"]) and result["f1"] == 0
    assert np.isfinite(result["threshold"]) and np.float32(result["threshold"]) < 0
    result = evaluation.verification(np.float32([1e6, 1e6, 1e6, 2e6]), [0, 0, 1, 0])
    assert np.float32(result["threshold"]) < np.float32(1e6)
    # The least distance need not be a corner of the curve.
    result = evaluation.verification([0.1, 0.2, 0.3, 0.4, 0.5], [0, 0, 1, 0, 0])
    assert result["accuracy"] == 0.8 and result["threshold"] < 0.1


def test_a_threshold_that_accepts_nothing_of_a_set_is_below_every_distance(way, monkeypatch):
    monkeypatch.setattr(pair_tiles, "BINS", 2**10)
    x = np.random.default_rng(0).normal(size=(150, 6)).astype("float32")
    labels = np.arange(150) // 2
    for distance in (
        "cosine",
        "inner_product",
        "manhattan",
    ):  # best of all: every pair is different
        result = evaluation.verification_from_embeddings(x, labels, distance)
        distances, same = all_pairs(x, labels, distance)
        assert result["recall"] == 0 and result["threshold"] < distances.min()
        assert result["accuracy"] == pytest.approx(1 - same.mean())
        assert result["threshold"] > distances.min() - 0.1


@pytest.mark.parametrize("scale", [2.0**-600, 2.0**400, 2.0**-70])
def test_the_size_of_the_embeddings_changes_nothing(scale):
    x, labels = embeddings()
    for distance in ("euclidean", "cosine"):
        wide = x.astype("float64") * scale
        expected = evaluation.verification_from_embeddings(x, labels, distance, strategy="eer")
        result = evaluation.verification_from_embeddings(wide, labels, distance, strategy="eer")
        unit = scale if distance == "euclidean" else 1.0
        assert dict(result) == {**expected, "threshold": expected["threshold"] * unit}
    with pytest.raises(ValueError, match="beyond float64.*Scale the embeddings down"):
        evaluation.verification_from_embeddings(
            x.astype("float64") * 1e200, labels, "squared_euclidean"
        )


@pytest.mark.parametrize("same", [[1, 1, 1], [0, 0, 0]])
def test_one_kind_of_pair_gives_nan_and_a_warning(same):
    with pytest.warns(UserWarning, match="needs same and different pairs. Received: . same and"):
        result = evaluation.verification([0.1, 0.2, 0.3], same)
    assert len(result) == 10 and all(np.isnan(value) for value in result.values())
    assert result.curve is None


def test_wrong_input_is_refused():
    verify = evaluation.verification
    with pytest.raises(ValueError, match="`distances` of verification must be finite.*1 of 3 rows"):
        verify([0.1, np.nan, 0.3], [1, 0, 1])
    with pytest.raises(ValueError, match="`distances` and `same` of verification .* 3 and 2"):
        verify([0.1, 0.2, 0.3], [1, 0])
    with pytest.raises(
        ValueError, match="`same` of verification must be 1 for same and 0.* same=2"
    ):
        verify([0.1, 0.2, 0.3], [1, 0, 2])
    with pytest.raises(ValueError, match=r"shape \(pairs,\) or \(pairs, 1\)"):
        verify(np.zeros((3, 2)), [1, 0, 1])
    with pytest.raises(ValueError, match="`strategy` of verification must be one of"):
        verify([0.1, 0.2], [1, 0], strategy="f0")
    with pytest.raises(
        ValueError, match="`far` of verification must be a finite number >= 0 and <= 1"
    ):
        verify([0.1, 0.2], [1, 0], far=(0.1, 2))
    with pytest.raises(ValueError, match="`x` of verification_from_embeddings must be finite"):
        evaluation.verification_from_embeddings(np.full((3, 2), np.nan), [0, 0, 1])
    with pytest.raises(ValueError, match="must have the same number of rows. Received: 3 and 2"):
        evaluation.verification_from_embeddings(np.ones((3, 2)), [0, 1])


def test_columns_integers_and_booleans_are_taken():
    distances, same = pairs(2)
    expected = evaluation.verification(distances, same)
    for other in (
        evaluation.verification(distances[:, None], same[:, None].astype("float32")),
        evaluation.verification(distances.tolist(), same.tolist()),
    ):
        assert dict(other) == dict(expected)
    whole = evaluation.verification(np.array([2**60, 2**60 + 2**12, 0]), [0, 0, 1])
    assert whole["auc"] == 1


def embeddings(seed=0, rows=60, classes=7, dimensions=6):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    means = np.random.default_rng(5).normal(size=(classes, dimensions))
    return (means[labels] + rng.normal(size=(rows, dimensions))).astype("float32"), labels


def all_pairs(x, labels, distance):
    x = np.asarray(x, "float64")
    first, second = np.triu_indices(len(x), 1)
    found = [REFERENCES[distance](x[i], x[j]) for i, j in zip(first, second, strict=True)]
    return np.array(found), labels[first] == labels[second]


@pytest.fixture(params=["exact", "bins"])
def way(request, monkeypatch):
    if request.param == "bins":
        monkeypatch.setattr(pair_tiles, "EXACT", 0)
    monkeypatch.setattr(pair_tiles, "TILE", 64 * 90)  # several tiles
    return request.param


@pytest.mark.parametrize("distance", room.DISTANCES.names())
def test_all_pairs_of_a_set(distance, way):
    x, labels = embeddings(rows=150)
    x = x / 8  # inside the Poincaré ball
    result = evaluation.verification_from_embeddings(x, labels, distance)
    distances, same = all_pairs(x, labels, distance)
    expected = evaluation.verification(distances, same)
    assert result.pairs == expected.pairs
    for name in ("auc", "eer", "tar@far=0.1", "tar@far=0.01", "tar@far=0.001"):
        # JAX, and matrix products of Keras on PyTorch, are float32: pairs closer than that may change places.
        rounding = 3e-5 if way == "bins" else 1e-9 if BACKEND == "tensorflow" else 1e-6
        allowed = result.errors[name] + rounding
        assert abs(result[name] - expected[name]) <= allowed, name
        assert result.errors[name] < 2e-3 and (way == "bins" or result.errors[name] == 0)
    if way == "exact" and BACKEND != "jax":  # which computes in float32
        for name, value in at_threshold(distances, same, result["threshold"]).items():
            np.testing.assert_allclose(result[name], value, atol=1e-12, err_msg=name)


def test_bins_keep_their_bounds_where_many_distances_share_one(way, monkeypatch):
    monkeypatch.setattr(pair_tiles, "BINS", 20)
    x, labels = embeddings(rows=200)
    result = evaluation.verification_from_embeddings(x, labels)
    expected = evaluation.verification(*all_pairs(x, labels, "cosine"))
    for name, error in result.errors.items():
        assert abs(result[name] - expected[name]) <= error + 1e-5, name
        assert (error > 1e-3) == (way == "bins")
    for name, value in at_threshold(*all_pairs(x, labels, "cosine"), result["threshold"]).items():
        np.testing.assert_allclose(result[name], value, atol=1e-4)


@pytest.mark.parametrize("shift", [2**24, 2**53, -(2**62)])
def test_large_and_text_labels(shift):
    x, labels = embeddings()
    expected = dict(evaluation.verification_from_embeddings(x, labels))
    assert dict(evaluation.verification_from_embeddings(x, labels + shift)) == expected
    text = np.array([f"person {label}" for label in labels])
    assert dict(evaluation.verification_from_embeddings(x, text[:, None])) == expected


def test_equal_rows_have_equal_distances(way):
    x = np.tile(np.random.default_rng(0).normal(size=(1, 33)), (130, 1)).astype("float32")
    labels = np.arange(130) % 3
    for distance in ("cosine", "euclidean", "manhattan"):
        result = evaluation.verification_from_embeddings(x, labels, distance)
        assert result["auc"] == 0.5 and result["eer"] == 0.5
    three = np.random.default_rng(1).normal(size=(3, 33)).astype("float32")[np.arange(130) % 3]
    labels = np.random.default_rng(2).integers(0, 4, 130)
    for distance in ("cosine", "angular", "euclidean", "squared_euclidean", "inner_product"):
        distances, same = all_pairs(three, labels, distance)
        expected = evaluation.verification(np.round(distances, 5), same)
        result = evaluation.verification_from_embeddings(three, labels, distance)
        np.testing.assert_allclose(
            result["auc"], expected["auc"], atol=1e-12 + result.errors["auc"], err_msg=distance
        )


@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [1, 2, 3, 4]])
def test_one_class_or_all_different_give_nan_and_a_warning(labels):
    with pytest.warns(UserWarning, match="verification_from_embeddings needs same and different"):
        result = evaluation.verification_from_embeddings(np.eye(4), labels)
    assert all(np.isnan(value) for value in result.values())


def test_thinned_curves_are_short_and_lie_on_the_curve():
    distances, same = pairs(3, n=20000)
    curve = evaluation.verification(distances, same).curve
    thin = curve.thinned(300)
    assert len(thin.thresholds) <= 310 < len(curve.thresholds)
    assert thin.far[-1] == thin.tar[-1] == 1 and thin.far[0] == thin.tar[0] == 0
    assert set(zip(thin.far, thin.tar, strict=True)) <= set(zip(curve.far, curve.tar, strict=True))
    assert thin.auc() == pytest.approx(curve.auc(), abs=1e-3)
    assert (thin.far[1:6] < 0.01).any()  # the corner that a DET plot shows


def test_nothing_is_warned_about_in_ordinary_use():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluation.verification(*pairs(0))
        evaluation.verification_from_embeddings(*embeddings())
