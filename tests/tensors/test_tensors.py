"""The pure functions below everything else, at their edges."""

import numpy as np
import pytest
from keras import ops

from keras_metric.miners.base import Pairs
from keras_metric.tensors.averaging import average, mean_over_anchors, mean_over_terms
from keras_metric.tensors.columns import class_columns
from keras_metric.tensors.histograms import soft_histograms
from keras_metric.tensors.masked import (
    any_weight,
    log_add_exp,
    log_one_plus_sum_exp,
    log_sum_exp,
    masked_max,
    masked_min,
)
from keras_metric.tensors.numerics import (
    LARGE,
    nan_unless_finite,
    row_norms,
    safe_arccos,
    safe_sqrt,
    unit_rows,
)
from keras_metric.tensors.positives import FEW
from keras_metric.tensors.relations import as_ids, pair_relations
from keras_metric.tensors.triplet_sums import sums_of_all_triplets
from tests import oracles
from tests.support import BACKEND, assert_slopes, numpy, value_and_gradient

RNG = np.random.default_rng(0)
VALUES = np.array(
    [[1.0, -2.0, 300.0, 4.0], [0.5, 0.5, 0.5, 0.5], [9.0, 8.0, 7.0, 6.0], [-200.0, -300.0, 0, 0]]
)
WEIGHTS = np.array([[1, 1, 0, 2], [1, 0, 1, 1], [0, 0, 0, 0], [1, 0.5, 0, 0]])  # fmt: skip


def tensor(x):
    return ops.convert_to_tensor(np.asarray(x, "float32"))


def test_masked_extremes_of_an_empty_row_are_large():
    large = np.float32(LARGE)
    np.testing.assert_array_equal(
        numpy(masked_max(tensor(VALUES), tensor(WEIGHTS))), np.float32([4, 0.5, -large, -200])
    )
    np.testing.assert_array_equal(
        numpy(masked_min(tensor(VALUES), tensor(WEIGHTS))), np.float32([-2, 0.5, large, -300])
    )
    np.testing.assert_array_equal(numpy(any_weight(tensor(WEIGHTS))), [1, 1, 0, 1])


def weighted_lse(values, weights, one):
    rows = []
    for v, w in zip(np.asarray(values, "float64"), weights, strict=True):
        terms = [x + np.log(y) for x, y in zip(v, w, strict=True) if y > 0] + ([0.0] if one else [])
        rows.append(oracles.lse(terms) if terms else -LARGE)
    return np.array(rows)


@pytest.mark.parametrize("one", [False, True])
def test_log_sum_exp(one):
    function = log_one_plus_sum_exp if one else log_sum_exp
    upstream = np.array(
        [1.0, 2.0, 3.0, -1.0]
    )  # the gradient of an empty row must be 0 whatever comes in
    value = numpy(function(tensor(VALUES), tensor(WEIGHTS)))
    np.testing.assert_allclose(value, weighted_lse(VALUES, WEIGHTS, one), rtol=1e-6)
    _, gradient = value_and_gradient(
        lambda v: function(v, tensor(WEIGHTS)) * tensor(upstream), VALUES
    )
    assert not gradient[WEIGHTS == 0].any()
    kept = [0, 1, 3]

    def loop(v):
        return np.sum((weighted_lse(v, WEIGHTS, one) * upstream)[kept])

    assert_slopes(loop, VALUES, gradient)


def test_log_add_exp_shares_the_gradient_of_equals_and_survives_emptiness():
    x, y = np.array([[0.0], [2.0], [-LARGE]]), np.array([[0.0, 5.0, -LARGE]])
    expected = np.logaddexp(x, y)
    np.testing.assert_allclose(numpy(log_add_exp(tensor(x), tensor(y))), expected, rtol=1e-6)
    _, (by_x, by_y) = value_and_gradient(lambda a, b: log_add_exp(a, b)[:2, :2], x, y)
    share = 1 / (1 + np.exp(y[:, :2] - x[:2]))
    np.testing.assert_allclose(by_x[:2, 0], share.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(by_y[0, :2], (1 - share).sum(axis=0), rtol=1e-5)


def test_safe_sqrt():
    x = np.array([0.0, -1.0, 4.0, 1e-30, np.nan])
    value, gradient = value_and_gradient(
        lambda v: safe_sqrt(v) * tensor([1, 1, 3, 1, 0]), x[:4].tolist() + [1.0]
    )
    np.testing.assert_allclose(gradient, [0, 0, 0.75, 0.5e15, 0], rtol=1e-4)
    np.testing.assert_allclose(numpy(safe_sqrt(tensor([0, -1, 4]))), [0, 0, 2])
    # A floor for each row: what is within rounding of zero counts as zero.
    np.testing.assert_allclose(numpy(safe_sqrt(tensor([[1.0, 4.0]]), tensor([[1.0]]))), [[0, 2]])


@pytest.mark.parametrize("length", [1e-30, 1e-6, 1.0, 1e4, 1e30])
def test_unit_rows_and_norms_at_any_length(length):
    x = RNG.normal(size=(3, 4))
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(
        numpy(unit_rows(tensor(length * units))), units, rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(
        numpy(row_norms(tensor(length * units))), length * np.ones((3, 1)), rtol=1e-5
    )


def test_zero_rows_and_ends_of_arccos_have_zero_gradients():
    for function in (unit_rows, row_norms):
        value, gradient = value_and_gradient(function, np.zeros((2, 3)))
        assert value == 0 and not gradient.any()
    value, gradient = value_and_gradient(safe_arccos, np.array([1.0, -1.0, 0.0]))
    np.testing.assert_allclose(value, 1.5 * np.pi, rtol=1e-6)
    np.testing.assert_allclose(gradient, [0, 0, -1], atol=1e-6)


def test_nan_unless_finite():
    assert numpy(nan_unless_finite(tensor([1.0, 3e38]))) == 0
    for bad in (np.nan, np.inf, -np.inf):
        assert np.isnan(numpy(nan_unless_finite(tensor([1.0, bad]))))


def test_averages():
    sums, counts, active = tensor([3.0, 0.0, 4.0, 0.0]), tensor([3, 0, 2, 1]), tensor([2, 0, 2, 0])
    np.testing.assert_allclose(
        numpy(average(sums, counts, active, "terms")).mean(), 7 / 6, rtol=1e-6
    )
    np.testing.assert_allclose(
        numpy(average(sums, counts, active, "active_terms")).mean(), 7 / 4, rtol=1e-6
    )
    # Anchors: 1, 2 and 0; the second has no term.
    np.testing.assert_allclose(numpy(average(sums, counts, active, "anchors")).mean(), 1, rtol=1e-6)
    np.testing.assert_allclose(numpy(mean_over_anchors(sums, counts)).mean(), 7 / 3, rtol=1e-6)
    nothing = numpy(mean_over_terms(tensor([0.0, 0.0]), tensor([0, 0])))
    np.testing.assert_array_equal(nothing, [0, 0])


BATCHES = {
    "few": (RNG.normal(size=(9, 3)), [0, 0, 0, 1, 1, 2, 2, 2, 3]),
    "many": (RNG.normal(size=(FEW + 8, 3)), [0] * (FEW + 3) + [1] * 3 + [2, 3]),
    "duplicates": (np.repeat(RNG.normal(size=(5, 3)), 2, axis=0), [0, 0, 0, 1, 1, 1, 2, 2, 3, 4]),
    "whole coordinates": (RNG.integers(0, 3, (FEW + 8, 2)), RNG.integers(0, 2, FEW + 8)),
    "one class": (RNG.normal(size=(5, 3)), [1] * 5),
    "all differ": (RNG.normal(size=(5, 3)), range(5)),
}  # fmt: skip


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("margin", [0.0, 0.3, 1.0, 50.0])
def test_sums_of_all_triplets_are_exact(batch, margin):
    """Values, active counts and gradients of every triplet by enumeration, with ties at the margin among them."""
    x, labels = BATCHES[batch]
    labels = np.asarray(labels)
    d = oracles.euclidean(x)
    same = labels[:, None] == labels[None, :]
    positives = (same & ~np.eye(len(d), dtype=bool)).astype("float64")
    negatives = (~same).astype("float64")

    def sums(distances):
        found = sums_of_all_triplets(distances, Pairs(tensor(positives), tensor(negatives)), margin)
        return found.sums, found.counts, found.active

    gradient = np.zeros_like(d)
    expected = np.zeros((3, len(d)))
    single = d.astype("float32")
    for a in range(len(d)):
        for p in np.flatnonzero(positives[a]):
            for n in np.flatnonzero(negatives[a]):
                gap = np.float32(single[a, p] + np.float32(margin)) - single[a, n]
                expected[1, a] += 1
                if gap > 0:
                    expected[0, a] += gap
                    expected[2, a] += 1
                    gradient[a, p] += 1
                    gradient[a, n] -= 1
    value = [numpy(part) for part in sums(tensor(d))]
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)
    _, found = value_and_gradient(lambda distances: sums(distances)[0], d)
    np.testing.assert_allclose(found, gradient, atol=1e-5)


def test_soft_histograms_equal_the_loop():
    values = RNG.uniform(0, 4, size=(3, 6))
    first, second = RNG.integers(0, 2, (2, 3, 6)).astype("float64")
    upstream = RNG.normal(size=(2, 3, 6))

    def loop(v):
        hats = np.maximum(
            0, 1 - np.abs(v[:, :, None] - np.arange(6) * 0.8) / 0.8
        )  # (3, 6, bins + 1)
        return np.stack([np.einsum("bn,bnk->bk", w, hats) for w in (first, second)])

    found = soft_histograms(tensor(values), tensor(first), tensor(second), 5, 4.0)
    np.testing.assert_allclose(
        np.stack([numpy(h) for h in found]), loop(values), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(np.sum(numpy(found[0]), axis=1), first.sum(axis=1), rtol=1e-5)

    def weighted(v):
        a, b = soft_histograms(v, tensor(first), tensor(second), 5, 4.0)
        return ops.sum(a * tensor(upstream[0])) + ops.sum(b * tensor(upstream[1]))

    _, gradient = value_and_gradient(weighted, values)
    assert_slopes(lambda v: np.sum(loop(v) * upstream), values, gradient)


SIGNS = np.array([[0, 1, -1], [1, 0, -1], [-1, -1, 0]])


@pytest.mark.parametrize(
    "ids",
    [
        [5, 5, 6],
        [-1, -1, 0],
        [2**24, 2**24, 2**24 + 1],
        [2**53, 2**53, 2**53 + 1],
        [2**63, 2**63, 2**63 + 1],
        [2**70, 2**70, 2**70 + 1],
        [-(2**63), -(2**63), 2**63 - 1],
        [2**63 + 1, 2**63 + 1, -1],  # NumPy makes floats of these two kinds together
        [2**63 + 1, np.uint64(2**63 + 1), np.int64(2**63 - 1)],
        np.array([[7], [7], [8]]),
        np.array([1.0, 1.0, 2.0]),
        np.array([True, True, False]),
    ],
)
def test_relations_of_any_ids_on_the_host(ids):
    np.testing.assert_array_equal(numpy(pair_relations(ids)), SIGNS)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX holds 32 bits")
def test_relations_of_tensors_beyond_float64():
    ids = ops.convert_to_tensor(np.array([2**53, 2**53, 2**53 + 1]))
    np.testing.assert_array_equal(numpy(pair_relations(ids)), SIGNS)


def test_relations_with_references_and_ignored_ids():
    references = [7, 2**60, 2**60 + 1, -1]
    for others in (references, np.array(references), np.array(references, object)):
        signs = numpy(pair_relations([2**60, 7, -1], others, ignore_id=-1))
        np.testing.assert_array_equal(signs, [[-1, 1, -1, 0], [1, -1, -1, 0], [0, 0, 0, 0]])
    signs = pair_relations(np.array([2**60], "uint64"), np.array([2**60, 2**60 + 1]))
    np.testing.assert_array_equal(numpy(signs), [[1, -1]])
    multi_hot = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]])
    for classes in (multi_hot, multi_hot.astype("float16"), multi_hot == 1):
        signs = numpy(pair_relations(classes, relation="overlap", ignore_id=2))
        # Row 3 has no class but the ignored one.
        np.testing.assert_array_equal(
            signs, [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
        )


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (np.array([0.5, 1.0]), "must be whole numbers. Received: y_true=0.5"),
        (np.array([np.nan, 1.0]), "must be whole numbers"),
        (np.zeros((2, 2), int), 'pass relation="overlap"'),
        (np.array(["a", "b"]), "dense_ids"),
        ([1, None], "Received: None and the like"),
        (np.array(["2026-01-01"], "datetime64[D]"), "dense_ids"),
        (None, "must be given"),
    ],
)
def test_bad_ids(ids, words):
    with pytest.raises(ValueError, match=words):
        pair_relations(ids)


def test_class_columns():
    expected = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]])
    for ids in (np.array([0, 2, 2**60]), np.array([[0], [2], [2**60]])):
        np.testing.assert_array_equal(numpy(class_columns(ids, 3, ignore_id=2**60)), expected)
    for wrong in (-1, 3, 2**24, 2**40):
        with pytest.raises(ValueError, match=f"class ids from 0 to 2. Received: y_true={wrong}"):
            class_columns(np.array([0, wrong]), 3, ignore_id=7)
    narrow = ops.convert_to_tensor(np.array([1, 200], "uint8"))
    np.testing.assert_array_equal(
        np.argwhere(numpy(class_columns(narrow, 300))), [[0, 1], [1, 200]]
    )
    with pytest.raises(ValueError, match="numpy.argmax"):
        class_columns(np.eye(3), 3)


def test_as_ids_keeps_small_integers_and_numbers_large_ones_anew():
    small = numpy(as_ids(np.array([3, 1, 3], "uint8")))
    assert small[0] == small[2] != small[1]
    large = numpy(as_ids(np.array([2**62, 1, 2**62])))
    assert large[0] == large[2] != large[1]
