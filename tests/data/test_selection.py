"""Groups, parents, weights, small classes, several labels: what batches promise about them."""

import warnings
from collections import Counter

import numpy as np
import pytest

from keras_metric import data
from tests.data.support import chi_square_p, drained, rows_of

Y = np.repeat(np.arange(6), 8)
X = np.arange(len(Y))
GROUP = X // 2 % 4 + 10 * Y  # four sessions of two examples in every class
CROSSING = X // 2 % 4  # the same four sessions in all classes
PARENT = Y // 3


def anchors_and_others(make, **settings):
    """Columns a, b (and negatives) of many draws, and whether a and b are a positive pair."""
    roles, targets = zip(
        *drained(make(X, Y, 32, seed=4, steps_per_epoch=150, **settings)), strict=True
    )
    rows = np.concatenate([np.stack(role) for role in roles], axis=1)
    return rows, np.concatenate(targets)


def test_examples_of_a_class_are_of_different_groups():
    rows = rows_of(data.pk_batches(X, Y, 3, 4, 400, seed=1, group=GROUP)).reshape(-1, 3, 4)
    assert (Y[rows] == Y[rows][..., :1]).all()
    groups = np.sort(GROUP[rows], axis=-1)
    assert (np.diff(groups, axis=-1) > 0).all()
    assert chi_square_p(np.bincount(rows.ravel(), minlength=len(Y))) > 0.001


def test_a_class_with_few_groups_repeats_examples_rather_than_groups():
    with pytest.warns(UserWarning, match="6 of 6 classes have fewer than .*=6 groups"):
        dataset = data.pk_batches(X, Y, 2, 6, 20, seed=1, group=GROUP)
    for rows in rows_of(dataset).reshape(-1, 6):
        assert len(set(rows)) == len(set(GROUP[rows])) == 4


@pytest.mark.parametrize("make", [data.pairs, data.triplets])
@pytest.mark.parametrize("group", [GROUP, CROSSING], ids=["nested", "crossing"])
def test_no_pair_is_of_one_group(make, group):
    rows, target = anchors_and_others(make, group=group)
    a, b = rows[0], rows[1]
    assert (group[a] != group[b]).all()
    positive = target == 1 if make is data.pairs else np.ones(len(a), bool)
    assert ((Y[a] == Y[b]) == positive).all()
    if make is data.triplets:
        assert (group[a] != group[rows[2]]).all() and (Y[a] != Y[rows[2]]).all()
    assert chi_square_p(np.bincount(a[positive], minlength=len(Y))) > 0.001
    partners = np.bincount(b[positive], minlength=len(Y))
    assert chi_square_p(partners) > 0.001


def test_groups_without_a_way_out_are_refused():
    with pytest.raises(ValueError, match="different groups.*one group each"):
        data.triplets(X, Y, group=Y)
    y, group = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 0])
    with pytest.raises(ValueError, match="no negative"):
        data.triplets(np.arange(4), y, group=group)
    with pytest.raises(
        ValueError, match="`group` and `y` .* same number of rows. Received: 3 and 48"
    ):
        data.pairs(X, Y, group=[1, 2, 3])


@pytest.mark.parametrize("form", ["rows", "dict"])
def test_half_of_a_batch_is_of_one_parent(form):
    y = np.repeat(np.arange(40), 3)
    parents = y // 5 if form == "rows" else {c: f"parent {c // 5}" for c in range(40)}
    dataset = data.pk_batches(np.arange(120), y, 8, 2, 800, seed=3, hierarchy=parents)
    batches = y[rows_of(dataset)][:, ::2]
    seen = Counter()
    for classes in batches:
        assert len(set(classes)) == 8
        common = Counter(classes // 5).most_common(1)[0]
        assert common[1] >= 4
        seen[common[0]] += 1
    assert set(seen) == set(range(8))
    assert chi_square_p(np.bincount(batches.ravel(), minlength=40)) > 0.001


def test_parents_that_are_too_small_are_told_and_give_all_they_have():
    parents = [0, 0, 0, 1, 1, 1, 1, 1]
    with pytest.warns(UserWarning, match="1 of 2 parents .* fewer than 4 classes"):
        dataset = data.pk_batches(
            np.arange(16), np.arange(16) // 2, 8, 2, 5, seed=1, hierarchy=np.repeat(parents, 2)
        )
    assert all(len(set(ids)) == 8 for _, ids in drained(dataset))


def test_every_second_negative_is_a_sibling():
    rows, _ = anchors_and_others(data.triplets, hierarchy=PARENT)
    sibling = PARENT[rows[0]] == PARENT[rows[2]]
    assert (Y[rows[0]] != Y[rows[2]]).all()
    expected = 0.5 + 0.5 * 2 / 5  # two of the five other classes are siblings
    counts = [sibling.sum(), (~sibling).sum()]
    assert chi_square_p(counts, len(sibling) * np.array([expected, 1 - expected])) > 0.001


@pytest.mark.parametrize("make", [data.pk_batches, data.pairs, data.triplets])
def test_weights_set_how_often_classes_come(make):
    weights = {0: 3.0, 1: 0.0, 2: 0.5}
    share = np.array([3, 0, 0.5, 1, 1, 1]) / 6.5
    if make is data.pk_batches:
        dataset = make(X, Y, 1, 2, 4000, seed=2, class_weights=weights)
        classes = Y[rows_of(dataset)[:, 0]]
    else:
        rows, target = anchors_and_others(make, class_weights=weights)
        classes = Y[rows[0]]
    counts = np.bincount(classes, minlength=6)
    assert counts[1] == 0
    present = share > 0
    assert chi_square_p(counts[present], share[present] * len(classes)) > 0.001


def test_weighted_classes_are_drawn_as_by_numpy_without_replacement():
    weights = np.array([8.0, 4, 2, 1, 1])
    y = np.repeat(np.arange(5), 4)
    chosen = (
        rows_of(data.pk_batches(np.arange(20), y, 3, 1, 6000, seed=2, class_weights=weights)) // 4
    )
    assert all(len(set(row)) == 3 for row in chosen)
    expected = np.zeros(10)
    p = weights / weights.sum()
    where = {pair: n for n, pair in enumerate((i, j) for i in range(5) for j in range(i))}
    for i in range(5):
        for j in range(5):
            if i != j:
                expected[where[max(i, j), min(i, j)]] += p[i] * p[j] / (1 - p[i])
    counts = np.zeros(10)
    for first, second, _ in chosen.tolist():
        counts[where[max(first, second), min(first, second)]] += 1
    assert chi_square_p(counts, expected * len(chosen)) > 0.001


def test_small_classes_are_left_out_and_named():
    y = np.array(["a", "b", "b", "c", "c", "c"])
    with pytest.warns(UserWarning, match=r"left out 1 classes with too few examples: 'a' \(1\)"):
        dataset = data.pk_batches(np.arange(6), y, 2, 2, 10, seed=1, min_examples_per_class=2)
    assert dataset.report.counts == {"b": 2, "c": 3} and dataset.report.small == {"a": 1}
    assert "2 classes, 5 examples" in str(dataset.report) and "'a' (1)" in str(dataset.report)
    for rows, ids in drained(dataset):
        assert set(ids) == {1, 2} and 0 not in rows
    for make in (data.pairs, data.triplets):
        with pytest.warns(UserWarning, match="left out"):
            dataset = make(np.arange(6), y, 16, seed=1, min_examples_per_class=2)
        assert all((role != 0).all() for roles, _ in drained(dataset) for role in roles)
    with pytest.raises(ValueError, match="no class left"):
        data.pk_batches(np.arange(6), y, 2, 2, min_examples_per_class=4)


def test_rows_of_several_labels():
    random = np.random.default_rng(0)
    y = (random.random((60, 8)) < 0.3).astype("int64")
    y[0] = 0
    dataset = data.pk_batches(np.arange(60), y, 4, 3, 100, seed=1)
    assert dataset.element_spec[1].shape == (12, 8)
    met = np.zeros(8)
    for rows, labels in drained(dataset):
        assert (labels == y[rows]).all()
        assert len(set(rows)) == 12 and 0 not in rows
        shared = labels.reshape(4, 3, 8).all(axis=1).any(axis=1)
        assert shared.all()  # the three rows of a helping have a label in common
        met += labels.reshape(4, 3, 8).all(axis=1).any(axis=0)
    assert (met > 0).all()


def test_lists_of_labels_become_a_matrix():
    matrix, names = data.multi_hot([["sea", "sky"], ["sky"], []])
    assert matrix.tolist() == [[1, 1], [0, 1], [0, 0]] and names.tolist() == ["sea", "sky"]
    with pytest.raises(ValueError, match="matrix of 0 and 1.*row 1"):
        data.pk_batches(np.arange(2), [[0, 1], [2, 1]], 1, 1)
    with pytest.raises(ValueError, match="one label a row"):
        data.hard_pairs(np.arange(3), matrix)
    with pytest.raises(ValueError, match="row 0, which shares a label with every other row"):
        data.pairs(np.arange(3), matrix)


SEVERAL = np.array(
    [
        [1, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 1, 1],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [1, 0, 1, 0],
    ]
)


@pytest.mark.parametrize("make", [data.pairs, data.triplets])
@pytest.mark.parametrize("group", [None, np.array([0, 1, 1, 2, 3, 3, 4])])
def test_pairs_of_rows_with_several_labels(make, group):
    """A class, a row of it, and another class and row of it that shares nothing with the first."""
    dataset = make(np.arange(7), SEVERAL, 64, seed=1, steps_per_epoch=300, group=group)
    roles, targets = zip(*drained(dataset), strict=True)
    roles, targets = np.concatenate(roles, axis=1), np.concatenate(targets)
    share = SEVERAL @ SEVERAL.T > 0
    near = ~np.eye(7, dtype=bool) if group is None else group[:, None] != group
    if make is data.pairs:
        assert targets.mean() == 0.5 and (share[roles[0], roles[1]] == targets).all()
        a, negative = roles[:, targets == 0]
        positive = roles[:, targets == 1]
    else:
        positive, (a, negative) = roles[:2], roles[[0, 2]]
    assert (share & near)[positive[0], positive[1]].all()
    expected = np.zeros((7, 7))
    for own in range(4):
        for row in np.flatnonzero(SEVERAL[:, own]):
            chance = np.zeros(7)
            for other in set(range(4)) - {own}:
                members = SEVERAL[:, other] * (near[row] if group is not None else 1)
                chance += members / members.sum()
            chance *= ~share[row] & near[row]
            expected[row] += chance / chance.sum() / SEVERAL[:, own].sum() / 4
    counts = np.zeros((7, 7))
    np.add.at(counts, (a, negative), 1)
    there = expected > 0
    assert counts[~there].sum() == 0
    assert chi_square_p(counts[there], expected[there] * len(a)) > 0.001


def test_rows_with_nan_can_be_skipped():
    x = np.arange(12.0)
    x[[2, 7]] = np.nan, np.inf
    with pytest.warns(UserWarning, match=r"skipped 2 unreadable: row 2 \(NaN or infinity\), row 7"):
        dataset = data.pk_batches(x, np.arange(12) % 3, 3, 2, seed=1, on_error="skip")
    assert [item for item, _ in dataset.report.skipped] == ["row 2", "row 7"]
    assert all(np.isfinite(rows).all() for rows, _ in drained(dataset))


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"hierarchy": {0: "a"}}, "parent for every class. Received: none for 1"),
        ({"hierarchy": np.arange(48)}, "one parent. Received: two for class 0"),
        ({"hierarchy": PARENT, "class_weights": {0: 1}}, "not both"),
        ({"hierarchy": PARENT, "classes_per_batch": 1}, "2 or more with `hierarchy`"),
        ({"class_weights": {9: 1.0}}, "name classes of y.*9"),
        ({"class_weights": [1.0, 2.0]}, "each of the 6 classes"),
        ({"class_weights": {0: -1.0}}, "finite and >= 0"),
        ({"class_weights": {c: 0.0 for c in range(6)}}, "no class left"),
        ({"on_error": "ignore"}, "on_error"),
        ({"min_examples_per_class": 0}, "min_examples_per_class"),
    ],
)
def test_impossible_selections_are_named(settings, words):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=words):
        warnings.simplefilter("ignore")
        data.pk_batches(X, Y, **{"classes_per_batch": 3, "examples_per_class": 2, **settings})
