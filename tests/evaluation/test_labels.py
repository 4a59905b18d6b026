"""Labels of every kind become codes that are equal where the labels are."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_metric.evaluation.labels import encode


def codes(*parts):
    encoded, vocabulary = encode(parts, [f"part{i}" for i in range(len(parts))], "test")
    return [one.codes.tolist() for one in encoded], vocabulary


@pytest.mark.parametrize(
    "labels",
    [
        [7, -1, 7, 3],
        np.array([7, -1, 7, 3], "int8"),
        np.array([[7], [-1], [7], [3]]),
        [[7], [-1], [7], [3]],
        np.array([7, -1, 7, 3], "float32"),
        np.array([7, -1, 7, 3], object),
        (7, -1, 7, 3),
        [np.int64(7), np.int8(-1), 7, 3],
    ],
)
def test_whole_numbers(labels):
    assert codes(labels) == ([[2, 0, 2, 1]], [-1, 3, 7])


def test_tensors():
    tensor = ops.convert_to_tensor(np.array([5, 2, 5], "int32"))
    assert codes(tensor) == ([[1, 0, 1]], [2, 5])


def test_large_ids_are_not_merged():
    ids = [2**53, 2**53 + 1, -(2**63), 2**63 - 1]
    assert codes(ids)[1] == codes(np.array(ids))[1] == sorted(ids)
    unsigned = np.array([2**64 - 1, 2**64 - 2], "uint64")
    assert codes(unsigned) == ([[1, 0]], [2**64 - 2, 2**64 - 1])
    assert codes([2**70, 2**70 + 1, 0])[1] == [0, 2**70, 2**70 + 1]
    assert codes(np.array([3, 4], "uint64"), np.array([4, 5])) == ([[0, 1], [1, 2]], [3, 4, 5])


def test_text():
    expected = ([[1, 0, 1]], ["a", "bc"])
    assert codes(["bc", "a", "bc"]) == codes(np.array(["bc", "a", "bc"])) == expected
    assert codes(np.array(["bc", "a", "bc"], object)) == codes(np.array([b"bc", b"a", b"bc"])) == expected  # fmt: skip
    assert codes(["x"], np.array([b"x"])) == ([[0], [0]], ["x"])


def test_a_number_is_not_its_text():
    (one,), vocabulary = codes([1, "1", 1])
    assert one == [0, 1, 0] and vocabulary == [1, "1"]


def test_columns_of_a_table():
    pandas = pytest.importorskip("pandas")
    assert codes(pandas.Series(["b", "a"])) == ([[1, 0]], ["a", "b"])
    assert codes(pandas.Series([4, 9], index=[5, 6])) == ([[0, 1]], [4, 9])
    assert codes(pandas.Series(["b", "a"], dtype="category")) == ([[1, 0]], ["a", "b"])


def test_sets():
    (one, other), vocabulary = encode([[{1, 2}, set()], [(2,), (3, 1)]], ["a", "b"], "test")
    assert vocabulary == [1, 2, 3] and one.several
    assert one.member.tolist() == [[True, True, False], [False] * 3]
    assert other.member.tolist() == [[False, True, False], [True, False, True]]


def test_multi_hot_of_many_columns():
    member = np.random.default_rng(0).random((20, 130)) < 0.02
    (one,), vocabulary = encode([member.astype("int64")], ["a"], "test")
    assert vocabulary == list(range(130)) and one.bits.shape == (20, 3)
    shared = (one.bits[:, None] & one.bits[None]).any(axis=-1)
    np.testing.assert_array_equal(shared, member @ member.T)


@pytest.mark.parametrize(
    "labels, match",
    [
        ([0.5, 1.0], "whole numbers or text"),
        ([np.nan, 1.0], "whole numbers or text"),
        (np.array([None, "a"]), "Received: None"),
        (np.array([1, np.nan], object), "Received: nan"),
        ([{1.5}, {2}], "Received: 1.5"),
        (np.array([1 + 2j]), "dtype complex128"),
        (np.zeros((2, 2, 2), int), r"shape \(2, 2, 2\)"),
        (np.array([[0, 2], [1, 0]]), "multi-hot"),
        (np.array([["a", "b"]]), "multi-hot"),
    ],
)
def test_what_is_no_label(labels, match):
    with pytest.raises(ValueError, match=match):
        encode([labels], ["labels"], "test")


def test_parts_of_other_kinds():
    with pytest.raises(ValueError, match="`a` and `b` of test must both hold one class a row"):
        encode([[1, 2], [{1}, {2}]], ["a", "b"], "test")
    with pytest.raises(ValueError, match="same number of columns"):
        encode([np.eye(3), np.eye(4)], ["a", "b"], "test")


def test_nothing_passes_through_the_backend():
    # JAX would cut these to 32 bits without a word.
    ids = np.array([1, 1 + 2**32, 1 + 2**40])
    assert codes(ids)[0] == [[0, 1, 2]], keras.backend.backend()
