import keras
import numpy as np
import pytest

from keras_metric import data
from tests.data.support import chi_square_p, drained

Y = np.array([0] * 2 + [7] * 3 + [8] * 4 + [9])  # the last class has one example
X = np.arange(len(Y))


def drawn_pairs(**settings):
    a, b, same = [], [], []
    for (left, right), target in drained(data.pairs(X, Y, seed=5, **settings)):
        a.append(left), b.append(right), same.append(target)
    return np.concatenate(a), np.concatenate(b), np.concatenate(same)


def test_pairs_are_what_they_say():
    a, b, same = drawn_pairs(batch_size=8, steps_per_epoch=200)
    assert (a != b).all()
    assert ((Y[a] == Y[b]) == same.astype(bool)).all()
    assert set(Y[a[same == 1]]) == {0, 7, 8}
    assert set(Y[a[same == 0]]) == {0, 7, 8, 9}


@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 1])
def test_positive_fraction_is_held(fraction):
    dataset = data.pairs(X, Y, 5, positive_fraction=fraction, seed=1, steps_per_epoch=20)
    counts = np.array([same.sum() for _, same in drained(dataset)])
    ideal = 5 * fraction * np.arange(1, 21)
    assert (np.abs(np.cumsum(counts) - ideal) <= 1).all()


def test_pairs_are_uniform():
    a, b, same = drawn_pairs(batch_size=64, steps_per_epoch=600)
    positive = [(i, j) for i in X for j in X if i != j and Y[i] == Y[j]]
    negative = [(i, j) for i in X for j in X if Y[i] != Y[j]]
    size = {label: (Y == label).sum() for label in Y}
    for kind, combinations in ((1, positive), (0, negative)):
        share = [
            1 / (3 * size[Y[i]] * (size[Y[i]] - 1)) if kind
            else 1 / (4 * 3 * size[Y[i]] * size[Y[j]])
            for i, j in combinations
        ]  # fmt: skip
        where = {pair: n for n, pair in enumerate(combinations)}
        counts = np.zeros(len(combinations))
        for pair in zip(a[same == kind].tolist(), b[same == kind].tolist(), strict=True):
            counts[where[pair]] += 1
        assert chi_square_p(counts, np.array(share) * counts.sum()) > 0.001


def test_triplets_are_uniform_and_right():
    roles, zeros = zip(*drained(data.triplets(X, Y, 64, seed=3, steps_per_epoch=600)), strict=True)
    a, p, n = np.concatenate([np.stack(role) for role in roles], axis=1)
    assert not np.any(zeros) and np.shape(zeros) == (600, 64)
    assert (a != p).all() and (Y[a] == Y[p]).all() and (Y[a] != Y[n]).all()
    size = {label: (Y == label).sum() for label in Y}
    expected, where = [], {}
    for i in X:
        for j in X:
            for k in X:
                if i != j and Y[i] == Y[j] and Y[i] != Y[k]:
                    where[i, j, k] = len(expected)
                    expected.append(1 / (3 * size[Y[i]] * (size[Y[i]] - 1) * 3 * size[Y[k]]))
    counts = np.zeros(len(expected))
    for triplet in zip(a.tolist(), p.tolist(), n.tolist(), strict=True):
        counts[where[triplet]] += 1
    assert chi_square_p(counts, np.array(expected) * len(a)) > 0.001


@pytest.mark.parametrize("make", [data.pairs, data.triplets])
def test_every_class_with_two_examples_takes_part_in_each_epoch(make):
    y = np.repeat(np.arange(50), 2)
    seen = set()
    for roles, target in drained(make(np.arange(100), y, 16, seed=1)):
        positive = target == 1 if make is data.pairs else slice(None)
        seen |= set(y[roles[0][positive]])
    assert seen == set(range(50))


@pytest.mark.parametrize("make", [data.pairs, data.triplets])
def test_pure_function_of_seed_and_step(make):
    def firsts(times=1, **settings):
        dataset = make(X, Y, 4, seed=5, steps_per_epoch=6, **settings)
        assert len(dataset) == 6 // settings.get("shard", (0, 1))[1]
        return np.stack([roles[0] for _ in range(times) for roles, _ in drained(dataset)])

    whole = firsts(3)
    np.testing.assert_array_equal(firsts(start_step=4), whole[4:10])
    np.testing.assert_array_equal(firsts(shard=(1, 2)), whole[1:6:2])
    assert not (whole[:6] == whole[6:12]).all()


@pytest.mark.parametrize("make, roles", [(data.pairs, 2), (data.triplets, 3)])
def test_map_fn_gets_one_element_and_shapes_are_static(make, roles):
    def widen(row):
        assert row.shape == ()
        return {"twice": row * 2}

    dataset = make(X, Y, 4, seed=5, map_fn=widen)
    plain = make(X, Y, 4, seed=5)
    for (mapped, _), (rows, _) in zip(drained(dataset), drained(plain), strict=True):
        for role in range(roles):
            assert (mapped[role]["twice"] == rows[role] * 2).all()
    assert [part["twice"].shape for part in dataset.element_spec[0]] == [(4,)] * roles


def test_polarity_and_shapes_in_fit():
    a, b = keras.Input((2,)), keras.Input((2,))
    score = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Subtract()([a, b]))
    model = keras.Model([a, b], score)
    model.compile("sgd", "binary_crossentropy")
    model.fit(data.pairs(np.random.rand(10, 2), Y, 4, seed=1), epochs=2, verbose=0)


@pytest.mark.parametrize(
    "make, y, words",
    [
        (data.pairs, np.arange(10), "one example each"),
        (data.triplets, np.arange(10), "one example each"),
        (data.pairs, np.zeros(10, int), "two or more classes"),
        (data.triplets, np.zeros(10, int), "two or more classes"),
        (data.pairs, np.zeros(9, int), "same number of rows"),
    ],
)
def test_impossible_labels_are_refused(make, y, words):
    with pytest.raises(ValueError, match=words):
        make(X, y)
