import keras
import numpy as np
import pytest

from keras_metric import callbacks, data, models
from tests.data.support import chi_square_p, drained

RNG = np.random.default_rng(3)
Y = RNG.integers(0, 6, 90)
X = np.arange(90)
E = RNG.normal(size=(90, 5)).astype("float32")


def distances(kind):
    e = E.astype("float64")
    if kind == "cosine":
        e /= np.linalg.norm(e, axis=1, keepdims=True)
        return 1 - e @ e.T
    return np.linalg.norm(e[:, None] - e[None], axis=-1)


def allowed(kind, first, stop, margin, group=None):
    """By loops: the set of hard negatives of each row."""
    d, result = distances(kind), []
    group = np.arange(len(Y)) if group is None else group
    for a in X:
        positives = [d[a, p] for p in X if Y[p] == Y[a] and group[p] != group[a] and p != a]
        negatives = [n for n in X if Y[n] != Y[a] and group[n] != group[a]]
        if margin is not None and positives:
            negatives = [n for n in negatives if d[a, n] >= min(positives) + margin]
        result.append(set(sorted(negatives, key=lambda n: d[a, n])[first:stop]))
    return result


@pytest.mark.parametrize("small_tiles", [False, True])
@pytest.mark.parametrize(
    "kind, window, margin",
    [("cosine", (0, 5), None), ("cosine", (2, 9), 0.05), ("euclidean", (1, 4), 0.3)],
)
def test_negatives_are_the_exact_neighbours(kind, window, margin, small_tiles, monkeypatch):
    if small_tiles:
        monkeypatch.setattr("keras_metric.data.neighbours._QUERIES", 7)
        monkeypatch.setattr("keras_metric.data.neighbours._REFERENCES", 11)
    dataset = data.hard_triplets(
        X, Y, E, 30, rank_window=window, margin=margin, distance=kind, steps_per_epoch=60, seed=1
    )
    expected = allowed(kind, *window, margin)
    assert dataset.hard_negatives.found == sum(map(bool, expected))
    drawn = {a: set() for a in X}
    for (anchor, positive, negative), _ in drained(dataset):
        assert (
            (Y[anchor] == Y[positive]).all()
            and (Y[anchor] != Y[negative]).all()
            and (anchor != positive).all()
        )
        for a, n in zip(anchor.tolist(), negative.tolist(), strict=True):
            drawn[a].add(n)
    for a in X:
        assert not expected[a] or drawn[a] <= expected[a]
    full = [len(drawn[a]) == len(expected[a]) for a in X if expected[a]]
    assert np.mean(full) > 0.5


def test_pairs_have_hard_negatives_of_other_groups():
    group = X // 3
    dataset = data.hard_pairs(
        X, Y, E, 40, rank_window=(0, 3), group=group, steps_per_epoch=100, seed=2
    )
    expected, uses = allowed("cosine", 0, 3, None, group), []
    for (a, b), same in drained(dataset):
        assert same.sum() == 20 and ((Y[a] == Y[b]) == same).all() and (group[a] != group[b]).all()
        assert all(
            n in expected[i]
            for i, n in zip(a[same == 0].tolist(), b[same == 0].tolist(), strict=True)
        )
        ranks = [
            sorted(expected[i]).index(n) for i, n in zip(a[same == 0], b[same == 0], strict=True)
        ]
        uses += ranks
    assert chi_square_p(np.bincount(uses)) > 0.001


def test_an_update_is_seen_from_the_next_epoch_on():
    dataset = data.hard_triplets(X, Y, None, 30, rank_window=(0, 1), steps_per_epoch=10, seed=1)
    assert dataset.hard_negatives.found is None
    random = np.concatenate([roles[2] for roles, _ in drained(dataset)])
    assert len(set(random)) > 60
    dataset.hard_negatives.update(E)
    expected = allowed("cosine", 0, 1, None)
    for (a, _, n), _ in drained(dataset):
        assert all({j} == expected[i] for i, j in zip(a.tolist(), n.tolist(), strict=True))


def test_without_a_negative_left_they_are_random():
    dataset = data.hard_triplets(X, Y, E, 30, margin=10.0, steps_per_epoch=10, seed=1)
    assert dataset.hard_negatives.found == 0
    plain = data.triplets(X, Y, 30, steps_per_epoch=10, seed=1)
    for (hard, _), (easy, _) in zip(drained(dataset), drained(plain), strict=True):
        np.testing.assert_array_equal(hard, easy)


def test_refreshed_during_fit_without_rebuilding():
    points = RNG.normal(size=(90, 4)).astype("float32")
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model = models.siamese_triplet(encoder)
    model.compile("sgd", lambda y_true, y_pred: keras.ops.mean(y_pred, axis=-1))
    train = data.hard_triplets(points, Y, batch_size=30, rank_window=(0, 2), seed=1)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            hard = train.hard_negatives
            seen.append((hard.found, hard._rows.numpy().copy()))

    refresh = callbacks.RefreshHardNegatives(train, every=2)
    before = encoder.get_weights()[0]
    model.fit(train, epochs=4, verbose=0, callbacks=[refresh, Watch()])
    assert [found for found, _ in seen] == [90] * 4
    assert not (seen[0][1] == seen[1][1]).all() and (seen[1][1] == seen[2][1]).all()
    assert not (before == encoder.get_weights()[0]).all()
    again = data.hard_triplets(points, Y, encoder.predict(points, verbose=0), rank_window=(0, 2))
    np.testing.assert_array_equal(again.hard_negatives._rows.numpy(), seen[3][1])


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"embeddings": E[:5]}, r"shape \(90, dimensions\).*Received: shape \(5, 5\)"),
        ({"embeddings": np.where(X[:, None] == 7, np.nan, E)}, "1 rows, first in row 7"),
        ({"rank_window": (3, 3)}, "first < stop"),
        ({"rank_window": 5}, "first < stop"),
        ({"margin": float("nan")}, "margin"),
        ({"distance": "manhattan"}, "distance"),
    ],
)
def test_bad_input_is_named(settings, words):
    for make in (data.hard_triplets, data.hard_pairs):
        with pytest.raises(ValueError, match=words):
            make(X, Y, **settings)
    with pytest.raises(TypeError, match="hard_triplets"):
        callbacks.RefreshHardNegatives(data.pairs(X, Y))
