"""Retrieval against loops in float64."""

import math
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_metric import distances
from keras_metric.evaluation import RetrievalResult, ranking_metrics, ranks, retrieval, scores
from tests.evaluation import reference

METRICS = (
    "hit@1",
    "hit@5",
    "recall@1",
    "recall@7",
    "precision@1",
    "precision@6",
    "r_precision",
    "map@r",
    "map@1",
    "map@5",
    "map@25",
    "mrr",
    "mrr@2",
    "ndcg@1",
    "ndcg@10",
    "ndcg@30",
)
EXACT = {"rtol": 0, "atol": 1e-12}


def data(rows=90, dimensions=5, classes=8, seed=0, dtype="float64"):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, rows)
    x = (
        random.normal(size=(rows, dimensions))
        + 0.8 * random.normal(size=(classes, dimensions))[labels]
    )
    return x.astype(dtype), labels


def whole_numbers(rows=70, seed=3):
    """Points on a small grid: many exact ties, also with other classes."""
    random = np.random.default_rng(seed)
    return random.integers(-1, 2, (rows, 3)).astype("float32"), random.integers(0, 5, rows)


def assert_same(result, expected):
    """Every query, the mean, and the number left out."""
    for name, values in expected.items():
        values = np.array([np.nan if v is None else v for v in values])
        np.testing.assert_allclose(result.per_query[name], values, err_msg=name, **EXACT)
        if not np.isnan(values).all():
            np.testing.assert_allclose(result[name], np.nanmean(values), err_msg=name, **EXACT)
        assert result.excluded == np.isnan(values).sum()


# -- definitions ---------------------------------------------------------------------------------------------------


def test_by_hand():
    # The query is at 0; relevant items (class 1) at ranks 2, 3 and 5; R = 3.
    gallery = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
    expected = {
        "hit@1": 0,
        "hit@2": 1,
        "recall@2": 1 / 3,
        "precision@2": 1 / 2,
        "r_precision": 2 / 3,
        "map@r": (1 / 2 + 2 / 3) / 3,
        "map@5": (1 / 2 + 2 / 3 + 3 / 5) / 3,
        "map@2": (1 / 2) / 2,
        "mrr": 1 / 2,
        "ndcg@3": (1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3) + 1 / 2),
    }
    result = retrieval([[0.0]], [1], gallery, [0, 1, 1, 0, 1, 0], list(expected), "euclidean")
    assert dict(result) == pytest.approx(expected, abs=1e-12)
    assert isinstance(result, RetrievalResult) and list(result) == list(expected)


def test_leave_one_out():
    x, labels = data()
    assert_same(
        retrieval(x, labels, metrics=METRICS), reference.retrieval(x, labels, metrics=METRICS)
    )


def test_queries_and_gallery():
    x, labels = data()
    split = (x[:30], labels[:30], x[30:], labels[30:])
    assert_same(retrieval(*split, metrics=METRICS), reference.retrieval(*split, metrics=METRICS))


def test_a_gallery_that_is_given_leaves_nothing_out():
    x, labels = data()
    assert retrieval(x, labels, x, labels, "hit@1")["hit@1"] == 1
    assert retrieval(x, labels, metrics="hit@1")["hit@1"] < 1


@pytest.mark.parametrize("name", [name for name, _ in distances.DISTANCES.items()])
def test_every_distance(name):
    x, labels = data(40, 4)
    if name == "poincare":
        x = x / (1.5 + np.linalg.norm(x, axis=1, keepdims=True))
    if keras.backend.backend() == "jax":
        x = np.round(x * 64) / 64  # JAX computes some distances in float32
    names = ("hit@1", "map@r", "mrr", "map@5")
    expected = reference.retrieval(x, labels, metrics=names, distance=name)
    if name == "hamming":  # ties of different sums would depend on rounding; shares of 4 are exact
        assert len({reference.between(name, x[0], y) for y in x}) <= 5
    assert_same(retrieval(x, labels, metrics=names, distance=name), expected)
    by_instance = retrieval(x, labels, metrics=names, distance=distances.get(name))
    assert dict(by_instance) == dict(retrieval(x, labels, metrics=names, distance=name))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_every_type_of_embedding(dtype):
    x, labels = data(50)
    x = np.round(x * 4).astype(dtype)
    expected = reference.retrieval(
        x.astype("float64"), labels, metrics=METRICS, distance="squared_euclidean"
    )
    assert_same(retrieval(x, labels, metrics=METRICS, distance="squared_euclidean"), expected)


def test_tensors_and_lists():
    x, labels = data(30, dtype="float32")
    expected = dict(retrieval(x, labels))
    assert (
        dict(retrieval(ops.convert_to_tensor(x), ops.convert_to_tensor(labels.astype("int32"))))
        == expected
    )
    assert dict(retrieval(x.tolist(), labels.tolist())) == expected
    assert dict(retrieval(x, labels[:, None])) == expected


# -- what does not count -------------------------------------------------------------------------------------------


def test_groups():
    x, labels = data()
    groups = np.random.default_rng(1).integers(0, 6, len(x))
    assert_same(
        retrieval(x, labels, metrics=METRICS, groups=groups),
        reference.retrieval(x, labels, metrics=METRICS, groups=groups),
    )


def test_groups_by_name_with_a_gallery():
    x, labels = data()
    groups = np.array([f"camera {g}" for g in np.random.default_rng(1).integers(0, 4, len(x))])
    groups[35] = "camera of no query"
    split = (x[:30], labels[:30], x[30:], labels[30:])
    sides = {"groups": groups[:30], "gallery_groups": groups[30:]}
    assert_same(
        retrieval(*split, metrics=METRICS, **sides),
        reference.retrieval(*split, metrics=METRICS, **sides),
    )


def test_a_query_whose_class_is_all_in_its_group_is_left_out():
    x, labels = data(40, classes=4)
    groups = np.where(labels == 2, 9, np.arange(40))
    result = retrieval(x, labels, groups=groups)
    assert result.excluded == (labels == 2).sum() > 0
    assert np.isnan(result.per_query["hit@1"][labels == 2]).all()
    assert np.isnan(result.per_class["map@r"][2]) and not np.isnan(result["map@r"])


def test_queries_without_a_relevant_item_are_left_out_and_counted():
    x, labels = data(60)
    labels[[4, 20, 59]] = [100, 101, 102]
    result = retrieval(x, labels, metrics=METRICS)
    assert result.excluded == 3
    assert_same(result, reference.retrieval(x, labels, metrics=METRICS))


def test_self_is_left_out_by_row_even_among_duplicates():
    x = np.ones((4, 3))
    result = retrieval(x, ["a", "b", "a", "b"], metrics=("hit@1", "mrr"))
    # All are tied, so the order of the gallery decides: row 0 sees b a b, row 1 a a b, row 2 a b b, row 3 a b a.
    np.testing.assert_allclose(result.per_query["mrr"], [1 / 2, 1 / 3, 1, 1 / 2])


# -- ties ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", ["order", "optimistic", "pessimistic"])
@pytest.mark.parametrize("distance", ["squared_euclidean", "inner_product", "hamming", "manhattan"])
def test_ties(ties, distance):
    x, labels = whole_numbers()
    expected = reference.retrieval(x, labels, metrics=METRICS, distance=distance, ties=ties)
    assert_same(retrieval(x, labels, metrics=METRICS, distance=distance, ties=ties), expected)


@pytest.mark.parametrize("ties", ["order", "optimistic", "pessimistic"])
def test_a_first_hit_far_down(ties, monkeypatch):
    # Beyond the ranks that are looked at first, what is nearer is counted instead of sorted.
    monkeypatch.setattr(ranking_metrics, "FIRST_LOOK", 1)
    x, labels = whole_numbers()
    expected = reference.retrieval(x, labels, metrics=["mrr"], distance="manhattan", ties=ties)
    assert_same(retrieval(x, labels, metrics="mrr", distance="manhattan", ties=ties), expected)


def test_ties_are_bounded():
    x, labels = whole_numbers()
    worst, plain, best = (
        retrieval(x, labels, ties=ties) for ties in ("pessimistic", "order", "optimistic")
    )
    for name in plain:
        assert worst[name] <= plain[name] <= best[name]
    assert worst["hit@1"] < best["hit@1"]


def test_collapsed_embeddings():
    labels = np.arange(60) % 3
    worst, best = (
        retrieval(np.ones((60, 4)), labels, metrics=METRICS, ties=t)
        for t in ("pessimistic", "optimistic")
    )
    assert all(best[name] == 1 for name in ("hit@1", "map@r", "mrr", "ndcg@10"))
    assert worst["hit@5"] == 0 and worst["mrr"] == pytest.approx(1 / 41)


# -- labels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 2**24, 2**31, 2**53, 2**62, -(2**62)])
def test_ids_of_any_size(offset):
    x, labels = data(50)
    expected = dict(retrieval(x, labels))
    result = retrieval(x, labels + offset)
    assert dict(result) == expected
    assert set(result.per_class["hit@1"]) == set((labels + offset).tolist())


def test_ids_that_differ_by_one_are_different():
    x, _ = data(6)
    ids = np.array([2**53, 2**53 + 1, 2**53 + 2, 2**53, 2**53 + 3, 2**53 + 1])
    assert retrieval(x, ids).excluded == 2


def test_text_labels():
    x, labels = data(50)
    text = np.array(["ü", "b c", "a", "Z", "", "e", "f", "g"])[labels]
    assert dict(retrieval(x, text)) == dict(retrieval(x, labels))
    assert retrieval(x, text.tolist()).per_class["hit@1"].keys() == set(text.tolist())


def _sets(rows=60):
    random = np.random.default_rng(2)
    sets = []
    for i in range(rows):
        rare = random.choice(np.arange(3, 70), random.integers(0, 4), replace=False)
        sets.append({int(random.integers(3)), *rare.tolist()} if i % 9 else set())
    return sets


def test_sets_of_classes():
    x, _ = data(60)
    sets = _sets()
    expected = reference.retrieval(x, sets, metrics=METRICS, match=lambda a, b: bool(a & b))
    assert expected["hit@1"].count(None) > 0
    assert_same(retrieval(x, sets, metrics=METRICS), expected)
    many_hot = np.array([[c in one for c in range(70)] for one in sets])
    assert_same(retrieval(x, many_hot, metrics=METRICS), expected)
    assert_same(retrieval(x, many_hot.astype("float32"), metrics=METRICS), expected)
    named = [[f"class {c}" for c in one] for one in sets]
    assert_same(retrieval(x, named, metrics=METRICS), expected)


def test_sets_of_classes_with_a_gallery_and_groups():
    x, _ = data(60)
    sets, groups = _sets(), np.arange(60) % 7
    split = (x[:20], sets[:20], x[20:], sets[20:])
    sides = {"groups": groups[:20], "gallery_groups": groups[20:]}
    assert_same(
        retrieval(*split, metrics=METRICS, **sides),
        reference.retrieval(*split, metrics=METRICS, match=lambda a, b: bool(a & b), **sides),
    )


def test_per_class_of_sets():
    x, _ = data(60)
    result = retrieval(x, _sets(), metrics="map@r")
    own = [i for i, one in enumerate(_sets()) if 1 in one]
    assert result.per_class["map@r"][1] == pytest.approx(np.nanmean(result.per_query["map@r"][own]))


# -- graded relevance ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", ["order", "optimistic", "pessimistic"])
def test_graded_relevance(ties):
    x, _ = whole_numbers(40)
    grades = np.random.default_rng(5).integers(0, 4, (40, 40)) * np.array([0.5, 1, 0, 2] * 10)
    grades[7] = 0
    expected = reference.retrieval(
        x,
        range(40),
        metrics=METRICS[:-1],
        distance="squared_euclidean",
        ties=ties,
        grade=lambda i, j: grades[i, j],
    )
    options = dict(metrics=METRICS[:-1], distance="squared_euclidean", ties=ties)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        by_array = retrieval(x, None, relevance=grades, **options)
        by_function = retrieval(x, None, relevance=lambda i, j: grades[i[:, None], j], **options)
    assert_same(by_array, expected)
    assert_same(by_function, expected)


def test_graded_relevance_with_a_gallery_and_labels():
    x, labels = data(60)
    grades = (labels[:20, None] == labels[20:]) * np.random.default_rng(0).uniform(0.1, 3, (20, 40))
    result = retrieval(x[:20], labels[:20], x[20:], labels[20:], METRICS, relevance=grades)
    expected = reference.retrieval(
        x[:20], labels[:20], x[20:], labels[20:], METRICS, grade=lambda i, j: grades[i, j]
    )
    assert_same(result, expected)
    assert result.per_class["ndcg@10"].keys() == set(labels[:20].tolist())


# -- averages ------------------------------------------------------------------------------------------------------


def test_micro_and_macro():
    x, labels = data(80)
    labels[:30] = 3  # a large class
    labels[40] = 50  # and one that is left out
    expected = reference.retrieval(x, labels, metrics=METRICS)
    micro, macro = (retrieval(x, labels, metrics=METRICS, average=a) for a in ("micro", "macro"))
    for name in METRICS:
        assert micro[name] == pytest.approx(reference.mean(expected[name]))
        assert macro[name] == pytest.approx(reference.macro(expected[name], labels.tolist()))
        own = [v for v, label in zip(expected[name], labels, strict=True) if label == 3]
        assert micro.per_class[name][3] == pytest.approx(reference.mean(own))
        assert math.isnan(micro.per_class[name][50])
    assert micro["hit@1"] != macro["hit@1"]


# -- tiles and precision -------------------------------------------------------------------------------------------


def test_tiles_change_nothing(monkeypatch):
    x, labels = data(120, classes=12)
    x[::7] = x[0]
    groups = np.arange(120) % 20
    expected = retrieval(x, labels, metrics=METRICS, groups=groups)
    monkeypatch.setattr(ranks, "MEMORY", 2**20)
    monkeypatch.setattr(scores, "CHUNK", 64)
    for distance in ("cosine", "manhattan"):
        whole = expected if distance == "cosine" else None
        tiled = retrieval(x, labels, metrics=METRICS, groups=groups, distance=distance)
        whole = whole or reference.retrieval(
            x, labels, metrics=METRICS, groups=groups, distance=distance
        )
        if distance == "cosine":
            assert dict(tiled) == dict(whole)
        elif keras.backend.backend() != "jax":
            assert_same(tiled, whole)


@pytest.mark.parametrize("classes", [40, 3])
def test_large_sets_in_float32(monkeypatch, classes):
    # Whole numbers are exact in float32 too, so every tie must be one.
    monkeypatch.setattr(scores, "SMALL", 0)
    monkeypatch.setattr(ranks, "SAMPLE", 32)  # bounds are guessed from few scores
    monkeypatch.setattr(ranks, "PIECE", 2**14)  # and a few rows are sorted at once
    random = np.random.default_rng(6)
    x, labels = random.integers(-3, 4, (240, 6)).astype("float32"), np.arange(240) % classes
    for ties in ranks.TIES:
        options = dict(metrics=METRICS, distance="euclidean", ties=ties)
        expected = _by_numpy(x, labels, ties)
        result = retrieval(x, labels, **options)
        for name in METRICS:
            np.testing.assert_allclose(
                result.per_query[name], expected[name], err_msg=name, **EXACT
            )


def _by_numpy(x, labels, ties):
    """As the reference, with whole-number distances by one product."""
    x = x.astype("int64")
    squares = ((x[:, None] - x[None]) ** 2).sum(axis=-1)
    found = {name: [] for name in METRICS}
    for i in range(len(x)):
        grades = (labels == labels[i]).astype(int)
        order = reference.ranking(squares[i], {i}, grades, ties)
        for name in METRICS:
            found[name].append(reference.metric(name, [grades[j] for j in order]))
    return found


def test_close_distances_far_from_the_origin():
    # In float32 |x|² + |y|² − 2xy would have lost all digits that matter here.
    random = np.random.default_rng(0)
    x = (random.integers(-50, 50, (200, 4)) + 100_000).astype("float32")
    labels = np.arange(200) % 10
    expected = dict(retrieval((x - 100_000).astype("float64"), labels, distance="euclidean"))
    assert dict(retrieval(x, labels, distance="euclidean")) == expected
    large = scores.SMALL
    try:
        scores.SMALL = 0
        assert dict(retrieval(x, labels, distance="euclidean")) == expected
    finally:
        scores.SMALL = large


@pytest.mark.parametrize("scale", [1e-30, 1e-5, 1e5, 1e30])
@pytest.mark.parametrize("distance", ["cosine", "euclidean", "inner_product"])
def test_tiny_and_huge_embeddings(scale, distance, monkeypatch):
    x, labels = data(60, dtype="float32")
    expected = dict(retrieval(x, labels, distance=distance))
    assert dict(retrieval(x * np.float32(scale), labels, distance=distance)) == pytest.approx(
        expected, abs=1e-3
    )
    monkeypatch.setattr(scores, "SMALL", 0)
    assert dict(retrieval(x * np.float32(scale), labels, distance=distance)) == pytest.approx(
        expected, abs=0.02
    )


def test_zero_rows_have_cosine_0_with_all():
    x, labels = data(20)
    x[3] = 0
    assert_same(retrieval(x, labels), reference.retrieval(x, labels, metrics=retrieval(x, labels)))


# -- nothing to say ------------------------------------------------------------------------------------------------


def test_k_beyond_the_gallery_is_nan():
    x, labels = data(20, classes=3)
    with pytest.warns(UserWarning, match=r"hit@20, ndcg@50 of retrieval reach beyond .* has 19"):
        result = retrieval(x, labels, metrics=("hit@1", "hit@20", "ndcg@50", "hit@19"))
    assert math.isnan(result["hit@20"]) and math.isnan(result["ndcg@50"])
    assert result["hit@19"] == 1 and not math.isnan(result["hit@1"])
    assert np.isnan(result.per_query["hit@20"]).all()


def test_no_query_with_a_relevant_item_is_nan():
    x, _ = data(20)
    with pytest.warns(UserWarning, match="no query with a relevant item"):
        result = retrieval(x, np.arange(20))
    assert result.excluded == 20 and all(math.isnan(value) for value in result.values())
    with pytest.warns(UserWarning, match="no query with a relevant item"):
        result = retrieval(x[:2], [1, 2], x[2:], np.arange(10, 28), average="macro")
    assert all(math.isnan(value) for value in result.values())


def test_one_row():
    with pytest.warns(UserWarning, match="no query with a relevant item"):
        assert retrieval(np.ones((1, 2)), [0], metrics="mrr").excluded == 1


# -- refusals ------------------------------------------------------------------------------------------------------


def _refused(match, *args, **kwargs):
    with pytest.raises(ValueError, match=match):
        retrieval(*args, **kwargs)


def test_what_is_not_finite_is_refused_by_row():
    x, labels = data(20)
    x[[3, 11], 2] = np.nan, np.inf
    _refused(r"`queries` of retrieval must be finite.*2 of 20 rows \(rows 3, 11\)", x, labels)
    good, _ = data(20)
    _refused(r"`gallery` of retrieval must be finite", good, labels, x, labels)
    x[:] = np.nan
    _refused(r"20 of 20 rows \(rows 0, 1, 2, 3, 4, …\)", x, labels)


def test_lengths_and_widths():
    x, labels = data(20)
    _refused(r"`queries` and `query_labels`.*20 and 19", x, labels[:-1])
    _refused(r"`gallery` and `gallery_labels`.*20 and 19", x, labels, x, labels[:-1])
    _refused(r"same number of dimensions.*5 and 4", x, labels, x[:, :4], labels)
    _refused(r"`queries` and `groups`", x, labels, groups=labels[:-1])
    _refused(
        r"`gallery` and `gallery_groups`",
        x,
        labels,
        x,
        labels,
        groups=labels,
        gallery_groups=labels[1:],
    )
    _refused(r"rows, dimensions", x[:, 0], labels)
    _refused(r"must not be empty", x[:0], labels[:0])


def test_arguments_that_do_not_go_together():
    x, labels = data(20)
    _refused(r"`gallery_labels` of retrieval must be None", x, labels, gallery_labels=labels)
    _refused(r"`gallery_labels` of retrieval must be given", x, labels, x)
    _refused(r"`query_labels` of retrieval must be given", x, None)
    _refused(r"`gallery_groups` of retrieval must be given", x, labels, x, labels, groups=labels)
    _refused(r"`groups` of retrieval must be given", x, labels, x, labels, gallery_groups=labels)
    _refused(
        r"`gallery_groups` of retrieval must be None",
        x,
        labels,
        groups=labels,
        gallery_groups=labels,
    )
    _refused(r"macro", x, None, relevance=np.ones((20, 20)), average="macro")


@pytest.mark.parametrize(
    "name", ["hit", "hit@0", "hit@-1", "hit@1.5", "hits@1", "map", "mrr@r", "", 3]
)
def test_unknown_metrics(name):
    x, labels = data(20)
    _refused("metrics` of retrieval", x, labels, metrics=[name])


def test_unknown_options():
    x, labels = data(20)
    _refused("`average` of retrieval must be one of", x, labels, average="mean")
    _refused("`ties` of retrieval must be one of", x, labels, ties="random")
    _refused("metrics", x, labels, metrics=())
    _refused("cosinus", x, labels, distance="cosinus")


def test_grades_that_are_none():
    x, labels = data(20)
    _refused(r"shape \(20, 20\)", x, labels, relevance=np.ones((20, 19)))
    _refused(r">= 0", x, labels, relevance=-np.ones((20, 20)))
    _refused(r">= 0", x, labels, relevance=lambda i, j: np.full(j.shape, np.nan))


# -- the result ----------------------------------------------------------------------------------------------------


def test_the_result_is_a_mapping():
    x, labels = data(30)
    result = retrieval(x, labels, metrics=("hit@1", "hit@1", "mrr"))
    assert list(result) == ["hit@1", "mrr"] and len(result) == 2 and "mrr" in result
    assert all(type(value) is float for value in result.values())
    assert "hit@1=" in repr(result)
    with pytest.raises(KeyError, match="there are"):
        _ = result["hit@3"]


def test_progress_speaks_only_when_asked(capsys):
    x, labels = data(30, classes=2)
    retrieval(x, labels)
    assert capsys.readouterr().out == ""
    retrieval(x, labels, progress=True)
    assert "30/30" in capsys.readouterr().out


# -- bounded memory ------------------------------------------------------------------------------------------------


def test_ties_of_everything_take_no_more_memory(monkeypatch):
    # Collapsed embeddings make every item a candidate for every rank: they are sorted a few rows at a time.
    monkeypatch.setattr(scores, "SMALL", 0)
    monkeypatch.setattr(ranks, "SAMPLE", 64)
    monkeypatch.setattr(ranks, "PIECE", 2000 * ranks.SORTED)
    seen = []
    plain = ranks._sorted
    monkeypatch.setattr(ranks, "_sorted", lambda *args: seen.append(len(args[0])) or plain(*args))
    labels = np.arange(1000) % 200
    result = retrieval(np.ones((1000, 4)), labels, metrics=("hit@1", "mrr"))
    assert max(seen) <= 2048 and len(seen) >= 500
    # Before row 4 of class c come rows 0 … c − 1 of the first turn, so its hit is at rank c + 1.
    np.testing.assert_allclose(result.per_query["mrr"][800:], 1 / (1 + np.arange(200)))


def test_tiles_fit_the_memory():
    for columns, depth, workers, itemsize in (
        (60_000, 6000, 2, 4),
        (20_000, 2000, 8, 8),
        (10**6, 20, 2, 4),
        (10**7, 10, 2, 4),
    ):
        rows = ranks.tile_rows(columns, depth, workers, itemsize)
        assert 1 <= rows <= 1024
        assert rows * columns * itemsize * workers <= 4 * ranks.MEMORY
    assert ranks.tile_rows(10**6, 20, 2) == ranks.FEW  # wide enough for a fast product
