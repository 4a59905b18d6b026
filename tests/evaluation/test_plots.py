import io

import numpy as np
import pytest
from keras import ops

from keras_metric import distances, evaluation
from keras_metric.evaluation import charts, pair_sample, plots
from keras_metric.evaluation import neighbors as neighboring
from keras_metric.evaluation.neighbors import neighbors
from keras_metric.evaluation.pictures import to_pixels

pytest.importorskip("matplotlib")


def clusters(count=12, classes=4, dim=6, spread=0.7, seed=0):
    """Embeddings of overlapping classes, so that there are hits and misses."""
    random = np.random.default_rng(seed)
    labels = np.arange(count * classes) % classes
    x = random.normal(size=(classes, dim))[labels] + spread * random.normal(size=(len(labels), dim))
    return x.astype("float32"), labels


def all_distances(x, name):
    """(N, N) in float64, by the formulas written out."""
    x = x.astype("float64")
    if name == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return 1 - x @ x.T
    gap = x[:, None] - x[None]
    return np.abs(gap).sum(-1) if name == "manhattan" else np.sqrt((gap**2).sum(-1))


@pytest.mark.parametrize("name", ["cosine", "euclidean", "manhattan"])
def test_neighbors_are_those_of_a_full_sort(name):
    x, _ = clusters()
    x[5] = x[30] = x[11]  # ties come in the order of rows
    queries = np.array([3, 11, 47])
    found = neighbors(x, queries, 7, distances.get(name))
    every = all_distances(x, name)
    every[[5, 11, 30], 5] = every[[5, 11, 30], 30] = every[[5, 11, 30], 11] = 0
    every[np.arange(len(x)), np.arange(len(x))] = np.inf
    order = np.argsort(every[queries], axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(found.rows, order)
    expected = np.take_along_axis(every[queries], order, axis=1)
    np.testing.assert_allclose(found.distances, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["cosine", "euclidean", "manhattan", "inner_product", "snr"])
@pytest.mark.parametrize("pairs", [5, 3000])
def test_distances_of_few_and_of_many_pairs(name, pairs, monkeypatch):
    monkeypatch.setattr(neighboring, "NUMBERS", 200)  # many steps
    x, _ = clusters(count=40)
    x[3] = 4 * x[9]
    x[5] = 0
    random = np.random.default_rng(0)
    left, right = random.integers(len(x), size=(2, pairs))
    left[0], right[0] = 3, 9
    if name == "snr":
        x[5] = x[4]
    distance = distances.get(name)
    wide = x.astype("float64")
    expected = ops.convert_to_numpy(distance.between(wide[left], wide[right]))
    found = neighboring.between(x, left, right, distance)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    if name == "cosine":
        assert found[0] == 0


def test_all_pairs_are_taken_where_there_are_few():
    x, labels = clusters(count=5)
    labels[-1] = 9  # a class of one
    same, different = pair_sample.sample(x, labels, distances.get("euclidean"))
    every = all_distances(x, "euclidean")
    i, j = np.triu_indices(len(x), 1)
    equal = labels[i] == labels[j]
    for kind, wanted in ((same, every[i, j][equal]), (different, every[i, j][~equal])):
        assert kind.complete and kind.total == len(wanted)
        np.testing.assert_allclose(np.sort(kind.distances), np.sort(wanted), rtol=1e-9)


def test_many_pairs_are_drawn_uniformly():
    # On a line, the distance of two rows says which they are: row i stands at 2^i.
    codes = np.array([0, 1, 0, 1, 0, 1, 0, 0, 2])
    x = 2.0 ** np.arange(len(codes))[:, None]
    same, different = pair_sample.sample(x, codes, distances.get("manhattan"), limit=12)
    assert (same.total, different.total) == (13, 23)
    assert not same.complete and len(same.distances) == 12
    many = pair_sample._of_kind  # the same draw, as often as it takes to see its shares
    order = np.argsort(codes, kind="stable")
    end = np.searchsorted(codes[order], codes[order], side="right")
    counts = end - np.arange(len(codes)) - 1
    random = np.random.default_rng(1)
    drawn = [
        many(x, order, np.arange(len(codes)) + 1, counts, distances.get("manhattan"), 12, random)
        for _ in range(500)
    ]
    values, times = np.unique(np.concatenate([one.distances for one in drawn]), return_counts=True)
    i, j = np.triu_indices(len(codes), 1)
    equal = codes[i] == codes[j]
    np.testing.assert_array_equal(values, np.sort((x[j] - x[i])[equal, 0]))
    expected = 500 * 12 / 13
    assert np.abs(times - expected).max() < 5 * np.sqrt(expected)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_overview_marks_hits_and_misses():
    x, labels = clusters()
    images = np.random.default_rng(1).uniform(size=(len(x), 8, 8, 3))
    figure = evaluation.plots.overview(x, labels, images=images, queries=6, k=5)
    assert len(figure.axes[0].images) == 6 * (1 + 5)
    # An independent look at the whole set: no query has fewer hits than the hardest shown.
    every = all_distances(x, "cosine")
    np.fill_diagonal(every, np.inf)
    hits = labels[np.argsort(every, axis=1)[:, :5]] == labels[:, None]
    marks = [text for text in texts(figure) if text in ("✓", "✗")]
    assert len(marks) == 6 * 5
    early = (hits / np.log2(np.arange(2, 7))).sum(axis=1)
    hardest = hits[np.argsort(early, kind="stable")[:2]]
    assert [mark == "✓" for mark in marks[-10:]] == hardest.ravel().tolist()
    frames = [patch.get_edgecolor()[:3] for patch in figure.axes[0].patches]
    assert len({tuple(frame) for frame in frames}) == 3  # query, hit, miss
    dashed = sum(patch.get_linestyle() != "-" for patch in figure.axes[0].patches)
    assert dashed == marks.count("✗")


def test_overview_shows_the_figures_of_verification():
    x, labels = clusters()
    figure = plots.overview(x, labels)
    verified = evaluation.verification_from_embeddings(x, labels, strategy="f1")
    legends = [
        text.get_text()
        for axes in figure.axes
        if axes.get_legend()
        for text in axes.get_legend().texts
    ]
    assert f"AUC {verified['auc']:.4f}" in legends
    assert f"EER {100 * verified['eer']:.2f}%" in legends
    assert f"threshold {verified['threshold']:.3g}" in legends
    note = figure.texts[0].get_text()
    assert note == "48 embeddings of 4 classes, cosine distance, 1,128 pairs"


def test_between_points_of_a_curve_lie_straight_lines_also_on_bent_axes():
    figure_module = pytest.importorskip("matplotlib.figure")
    verified = evaluation.verification(np.ones(8), np.arange(8) % 2)  # of two points, as collapsed
    axes = figure_module.Figure().add_subplot()
    charts.roc(axes, verified)
    far, tar = axes.lines[1].get_data()
    assert len(far) > 50
    np.testing.assert_allclose(tar[1:], far[1:], atol=1e-9)


def test_overview_says_what_was_drawn(monkeypatch):
    x, labels = clusters()
    monkeypatch.setattr(plots, "PAIRS", 300)
    monkeypatch.setattr(plots, "CANDIDATES", 30)
    figure = plots.overview(x, labels)
    assert figure.texts[0].get_text().endswith("; histogram of 300 drawn pairs a kind")
    assert "Hardest queries of 30 drawn" in texts(figure)


def as_png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def test_overview_is_the_same_each_time():
    x, labels = clusters()
    assert as_png(plots.overview(x, labels)) == as_png(plots.overview(x, labels))
    assert as_png(plots.overview(x, labels)) != as_png(plots.overview(x, labels, seed=1))


def test_overview_takes_names_of_any_kind():
    x, labels = clusters()
    names = ["$x_1", "two\nlines", "a name that is far too long", "{}"]
    figure = plots.overview(x, labels, class_names=names)
    as_png(figure)
    assert {"$x_1", "two lin…", "a name …", "{}"} <= set(texts(figure))
    by_label = plots.overview(x, [f"c{label}" for label in labels], class_names={"c1": "one"})
    assert {"c0", "one", "c2"} <= set(texts(by_label))


def test_overview_of_next_to_nothing():
    with pytest.warns(UserWarning, match="same and different pairs"):
        figure = plots.overview(np.eye(3, dtype="float32"), [1, 2, 3])
    as_png(figure)
    assert "needs same and different pairs" in texts(figure)
    as_png(plots.overview(np.ones((4, 2), "float32"), [0, 0, 1, 1]))


@pytest.mark.parametrize(
    "change, said",
    [
        ({"labels": [0, 1]}, "same number of rows. Received: 48 and 2"),
        ({"embeddings": np.full((48, 3), np.nan)}, "NaN or infinity in 48 of 48 rows"),
        ({"images": np.zeros((47, 8, 8))}, "same number of rows. Received: 48 and 47"),
        ({"images": np.zeros((48, 8, 8, 2))}, r"1, 3 or 4 channels. Received: .*\(48, 8, 8, 2\)"),
        ({"class_names": ["a", "b"]}, "name every label .* Give a dict"),
        ({"queries": 0}, "`queries` of overview must be a whole number >= 1"),
        ({"distance": "cosin"}, "Did you mean 'cosine'"),
        ({"labels": np.ones((48, 2), int)}, "one class a row"),
        ({"embeddings": np.ones((1, 3)), "labels": [0]}, "2 or more rows"),
    ],
)
def test_bad_input(change, said):
    x, labels = clusters()
    with pytest.raises(ValueError, match=said):
        plots.overview(**{"embeddings": x, "labels": labels, "k": 6, **change})


def test_pixels_of_every_kind():
    ramp = np.linspace(0, 1, 16).reshape(1, 4, 4, 1)
    expected = np.round(ramp[..., 0] * 255).astype("uint8")
    np.testing.assert_array_equal(to_pixels(ramp), expected)
    np.testing.assert_array_equal(to_pixels(16 * ramp - 8), expected)
    np.testing.assert_array_equal(to_pixels(expected), expected)
    assert to_pixels(np.full((2, 3, 3), 7.0)).shape == (2, 3, 3)
    assert to_pixels(np.array([[[True, False]]])).tolist() == [[[255, 0]]]
    assert to_pixels(np.array([[[0.5, np.nan, np.inf]]])).tolist() == [[[128, 0, 255]]]


def test_percentages_lose_no_digits():
    assert [charts.percent(one) for one in (1, 0.5, 1e-6, 1e-7)] == [
        "100%", "50%", "0.0001%", "0.00001%",
    ]  # fmt: skip


def test_names_on_a_map_do_not_cover_each_other():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    points = np.array([[0, 0], [0.01, 0], [0.02, 0], [1, 1], [1, 1]])
    charts.classes_map(axes, points, np.array([0, 1, 1, 2, 2]), ["small", "larger", "far"], "map")
    assert [text.get_text() for text in axes.texts] == ["larger", "far"]
