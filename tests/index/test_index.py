"""One conformance test over all back ends, against loops in float64."""

import math

import numpy as np
import pytest

from keras_metric import distances
from keras_metric.index import Index


def between(name, x, y):
    """A distance of two rows, by the formula of the book."""
    x, y = [float(v) for v in x], [float(v) for v in y]
    product = sum(a * b for a, b in zip(x, y, strict=True))
    lengths = math.hypot(*x) * math.hypot(*y)
    cosine = max(-1.0, min(1.0, product / lengths)) if lengths else 0.0
    gaps = [abs(a - b) for a, b in zip(x, y, strict=True)]
    if name == "snr":
        return np.var(np.subtract(x, y)) / np.var(x)
    if name == "hamming":
        return np.mean(np.sign(x) != np.sign(y))
    return {
        "cosine": 1 - cosine,
        "inner_product": -product,
        "euclidean": math.hypot(*gaps),
        "squared_euclidean": math.fsum(g * g for g in gaps),
        "angular": math.acos(cosine),
        "manhattan": sum(gaps),
        "chebyshev": max(gaps),
        "minkowski": sum(g**3 for g in gaps) ** (1 / 3),
    }[name]


EVERYWHERE = ("cosine", "euclidean", "squared_euclidean", "inner_product")
ONLY_EXACT = ("angular", "manhattan", "chebyshev", "minkowski", "hamming", "snr")
COMPRESSED = ("int8", "binary")
ALL = [("exact", name) for name in (*EVERYWHERE, *ONLY_EXACT)] + [
    (backend, name) for backend in ("faiss", "usearch", *COMPRESSED) for name in EVERYWHERE
]


def made(backend, distance="cosine"):
    """An index of a back end, or of a storage."""
    if backend in COMPRESSED:
        return Index(distance, storage=backend)
    if backend != "exact":
        pytest.importorskip(backend)
    return Index(distance, backend)


@pytest.mark.parametrize("backend, name", ALL)
def test_the_nearest_first_in_the_units_of_the_distance(backend, name):
    random = np.random.default_rng(4)
    x = random.normal(size=(300, 6)).astype("float32")
    x[7] = x[200] = x[120]  # ties
    queries = np.concatenate([random.normal(size=(5, 6)), x[120:121]]).astype("float32")
    index = made(backend, name)
    ids = random.permutation(10_000)[:300]
    index.add(x, ids=ids, labels=np.arange(300) % 4)
    found = index.search(queries, k=9)
    assert found.distances.shape == found.ids.shape == found.labels.shape == (6, 9)
    assert found.distances.dtype == np.float32 and found.ids.dtype == np.int64
    for query, row, names, labels in zip(
        queries, found.distances, found.ids, found.labels, strict=True
    ):
        expected = np.array([between(name, query, one) for one in x])
        np.testing.assert_allclose(row, np.sort(expected)[:9], rtol=1e-5, atol=1e-6)
        places = [ids.tolist().index(one) for one in names]
        np.testing.assert_allclose(row, expected[places], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(labels, np.array(places) % 4)
    if name not in ("hamming", "inner_product"):
        assert found.ids[5, :3].tolist() == ids[[7, 120, 200]].tolist()
        assert abs(found.distances[5, 0]) < 1e-3


@pytest.mark.parametrize("backend", ["exact", "faiss", *COMPRESSED])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_ties_stand_in_the_order_of_adding(backend, name):
    index = made(backend, name)
    index.add(np.ones((500, 5)), ids=np.arange(500)[::-1])
    index.add(np.full((3, 5), -1.0))
    found = index.search(np.ones((2, 5)), k=40)
    assert found.ids.tolist() == [list(range(499, 459, -1))] * 2
    # Rows that point the same way tie by cosine, whatever their lengths.
    index = made(backend, "cosine")
    index.add(np.arange(1.0, 301)[:, None] * np.array([[3.0, 7.0, 1.0]]))
    for query in ([[3.0, 2.0, 1.0]], [[1.5, 3.5, 0.5]], [[7.0, -3.0, 0.0]]):
        assert index.search(query, k=20).ids.tolist() == [list(range(20))]


@pytest.mark.parametrize("backend", ["exact", "faiss"])
def test_near_duplicates_far_from_the_origin(backend):
    """In a plain float32 product, distances of 0.01 at a length of 10,000 drown in rounding."""
    random = np.random.default_rng(0)
    x = (1e4 + random.normal(size=(400, 8)) * 0.01).astype("float32")
    index = made(backend, "euclidean")
    index.add(x)
    found = index.search(x[:20], k=5)
    for row in range(20):
        expected = np.sqrt(((x[row].astype("float64") - x) ** 2).sum(1))
        np.testing.assert_allclose(found.distances[row], np.sort(expected)[:5], rtol=1e-5)
        assert found.ids[row, 0] == row


def angles(x, y):
    x, y = (one / np.linalg.norm(one, axis=-1, keepdims=True) for one in (x, y))
    return 2 * np.arcsin(np.linalg.norm(x - y, axis=-1) / 2)


def in_the_ball(x, y):
    squared, x, y = (np.sum(one * one, axis=-1) for one in (x - y, x, y))
    return np.arccosh(1 + 2 * squared / ((1 - x) * (1 - y)))


@pytest.mark.parametrize(
    "name, length, expected", [("angular", 3.0, angles), ("poincare", 0.998, in_the_ball)]
)
def test_near_duplicates_where_the_distance_is_steep(name, length, expected):
    """float32 takes small angles for 0, and gives distances near the edge of the ball to one digit."""
    random = np.random.default_rng(0)
    centers = np.repeat(random.normal(size=(4, 16)), 60, axis=0)
    x = centers + random.normal(size=(240, 16)) * 1e-3
    x = (x * length / np.linalg.norm(x, axis=1, keepdims=True)).astype("float32")
    index = Index(name)
    index.add(x)
    found = index.search(x[::40], k=5)
    everything = expected(x[::40, None].astype("float64"), x[None].astype("float64"))
    np.testing.assert_array_equal(found.ids, np.argsort(everything, axis=1)[:, :5])
    np.testing.assert_allclose(found.distances, np.sort(everything, axis=1)[:, :5], rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e18, 1e30])
@pytest.mark.parametrize("name", ["cosine", "euclidean"])
def test_tiny_and_huge_embeddings(scale, name):
    x = (np.random.default_rng(0).normal(size=(50, 4)) * scale).astype("float32")
    index = Index(name)
    index.add(x)
    found = index.search(x[:7], k=3)
    for row in range(7):
        expected = np.array([between(name, x[row], one) for one in x])
        np.testing.assert_allclose(
            found.distances[row], np.sort(expected)[:3],
            rtol=1e-5, atol=1e-12 if name == "cosine" else 0,
        )  # fmt: skip
        assert np.all(found.distances[row] >= 0)
        assert found.ids[row, 0] == row


def test_a_zero_vector_has_cosine_zero_with_everything():
    index = Index()
    index.add([[0.0, 0.0], [1.0, 0.0]])
    found = index.search([[0.0, 0.0], [2.0, 0.0]], k=2)
    assert found.distances.tolist() == [[1.0, 1.0], [0.0, 1.0]]
    assert found.ids.tolist() == [[0, 1], [1, 0]]


def test_many_tiles_and_blocks(monkeypatch):
    """The same neighbours whatever the sizes of tiles, blocks and the store of candidates."""
    from keras_metric.index import exact

    random = np.random.default_rng(2)
    x = np.round(random.normal(size=(900, 3)), 1).astype("float32")  # many ties
    index = Index("squared_euclidean")
    index.add(x)
    expected = [
        sorted(
            range(900), key=lambda row: (np.float32(((q - x[row].astype(float)) ** 2).sum()), row)
        )
        for q in x[:30].astype("float64")
    ]
    for buffer, block, many in ((64, 7, 50), (1000, 30, 1 << 21), (1 << 20, 256, 1)):
        monkeypatch.setattr(exact, "BUFFER", buffer)
        monkeypatch.setattr(exact, "QUERIES", block)
        monkeypatch.setattr(exact, "MANY", many)
        found = index.search(x[:30], k=12)
        assert found.ids.tolist() == [row[:12] for row in expected]


@pytest.mark.parametrize("backend", ["exact", "faiss", "usearch", *COMPRESSED])
def test_add_upsert_remove(backend):
    index = made(backend, "euclidean")
    assert len(index) == 0
    np.testing.assert_array_equal(index.add(np.eye(3), payload=["a", "b", {"c": 1}]), [0, 1, 2])
    index.add(np.eye(3)[:1] * 5, ids=[40], payload=[None])
    np.testing.assert_array_equal(index.add(np.eye(3)[1:2] * 5, payload=["e"]), [41])
    assert len(index) == 5
    found = index.search([[5.0, 0.0, 0.0]], k=2)
    assert found.ids.tolist() == [[40, 0]] and found.payload == [[None, "a"]]
    index.upsert([[9.0, 9.0, 9.0], [7.0, 7.0, 7.0]], ids=[50, 40], payload=["f", "g"])
    assert index.ids.tolist() == [0, 1, 2, 40, 41, 50]
    assert index.payload == ["a", "b", {"c": 1}, "g", "e", "f"]
    found = index.search([[8.9, 9.0, 9.0], [7.1, 7.0, 7.0]], k=1)
    assert found.ids.tolist() == [[50], [40]]
    np.testing.assert_allclose(found.distances, [[0.1], [0.1]], rtol=1e-5)
    index.remove([40, 0])
    assert index.ids.tolist() == [1, 2, 41, 50] and index.payload == ["b", {"c": 1}, "e", "f"]
    assert index.search([[7.0, 7.0, 7.0]], k=99).ids.shape == (1, 4)
    np.testing.assert_array_equal(index.add(np.eye(3)[:1], payload=["h"]), [51])


def test_text_ids_may_grow_longer():
    index = Index()
    index.add(np.eye(2), ids=["a", "bb"], labels=["x", "y"])
    index.add(np.eye(2) * 2, ids=["a much longer name", "ccc"], labels=["a longer label", "y"])
    index.upsert(np.eye(2)[:1], ids=["bb"], labels=["the longest label"])
    assert index.ids.tolist() == ["a", "bb", "a much longer name", "ccc"]
    assert index.labels.tolist() == ["x", "the longest label", "a longer label", "y"]


def test_what_is_handed_in_and_out_is_no_window_into_the_index():
    x = np.eye(3, dtype="float32")
    index = Index("euclidean")
    index.add(x)
    x[:] = 7
    assert index.search(np.eye(3)[:1], k=1).distances.tolist() == [[0.0]]
    with pytest.raises(ValueError, match="read-only"):
        index.vectors[0] = 1


@pytest.mark.parametrize("backend", ["exact", "faiss", "usearch", *COMPRESSED])
def test_filters(backend):
    index = made(backend, "euclidean")
    index.add(np.arange(8.0)[:, None], labels=["even", "odd"] * 4)
    found = index.search([[0.0]], k=3, labels="odd")
    assert found.ids.tolist() == [[1, 3, 5]]
    assert index.search([[0.0]], k=9, labels=["odd", "none"]).ids.shape == (1, 4)
    mask = np.arange(8) > 2
    assert index.search([[0.0]], k=2, labels="even", mask=mask).ids.tolist() == [[4, 6]]
    with pytest.raises(ValueError, match="leave no item"):
        index.search([[0.0]], labels="none")
    with pytest.raises(ValueError, match="kind of those in the index"):
        index.search([[0.0]], labels=3)
    with pytest.raises(ValueError, match="`mask` of Index"):
        index.search([[0.0]], mask=mask[:5])


def test_no_queries():
    index = Index()
    index.add(np.eye(3))
    assert index.search(np.empty((0, 3)), k=2).ids.shape == (0, 2)


def test_the_graph_of_a_large_usearch_index_finds_most(monkeypatch):
    pytest.importorskip("usearch")
    from keras_metric.index import backends

    monkeypatch.setattr(backends, "SMALL", 100)
    x = np.random.default_rng(0).normal(size=(2000, 8)).astype("float32")
    index = Index("euclidean", "usearch")
    index.add(x)
    found = index.search(x[:100], k=5)
    expected = np.sqrt(((x[:100, None].astype("float64") - x[None]) ** 2).sum(2))
    right = np.argsort(expected, axis=1, kind="stable")[:, :5]
    share = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found.ids, right, strict=True)])
    assert share > 0.9
    np.testing.assert_allclose(
        found.distances, np.take_along_axis(expected, found.ids, 1), rtol=1e-5, atol=1e-6
    )


def with_three():
    index = Index()
    index.add(np.eye(3), labels=[4, 5, 6])
    return index


NAN = np.array([[1.0, np.nan, 0.0]])
BAD = [
    (lambda i: i.add(NAN, labels=[1]), "`embeddings`.*row 0"),
    (lambda i: i.add(np.full((1, 3), 1e39), labels=[1]), "finite in float32"),
    (lambda i: i.add(np.eye(4), labels=[1] * 4), "3 dimensions.*\\(4, 4\\)"),
    (lambda i: i.add(np.eye(3)[0], labels=[1]), "`embeddings`.*\\(rows, dimensions\\)"),
    (lambda i: i.add([["a", "b", "c"]], labels=[1]), "`embeddings`.*numbers"),
    (lambda i: i.add([[1, 2, 3], [4]], labels=[1, 1]), "`embeddings`.*different lengths"),
    (lambda i: i.add(np.eye(3), ids=[7, 8, 7], labels=[1] * 3), "more than once: \\[7\\]"),
    (lambda i: i.add(np.eye(3), ids=[7, 2, 9], labels=[1] * 3), "in the index already: \\[2\\]"),
    (lambda i: i.add(np.eye(3), ids=[7], labels=[1] * 3), "1 ids for 3 rows"),
    (lambda i: i.add(np.eye(3), ids=["a", "b", "c"], labels=[1] * 3), "`ids`.*whole numbers"),
    (lambda i: i.add(np.eye(3), ids=[0.5, 1.5, 2.5], labels=[1] * 3), "`ids`.*whole numbers"),
    (lambda i: i.add(np.eye(3), ids=[1, "b", 3], labels=[1] * 3), "`ids`.*all texts"),
    (lambda i: i.add(np.eye(3)), "`labels`.*be given"),
    (lambda i: i.add(np.eye(3), labels=[1]), "1 labels for 3 rows"),
    (lambda i: i.add(np.eye(3), labels=["a"] * 3), "`labels`.*kind"),
    (
        lambda i: i.add(np.eye(3), labels=[2**63] * 3),
        "`labels`.*fit into int64.*9223372036854775808",
    ),
    (lambda i: i.search(np.eye(3), labels=[2**63]), "`labels`.*fit into int64"),
    (lambda i: i.add(np.eye(3), labels=[1] * 3, payload=[1] * 3), "`payload`.*left out"),
    (lambda i: i.upsert(np.eye(3), ids=[1, 1, 2], labels=[1] * 3), "more than once"),
    (lambda i: i.remove([0, 9]), "unknown: \\[9\\]"),
    (lambda i: i.remove(["a"]), "unknown: \\['a'\\]"),
    (lambda i: i.remove([0, 0]), "more than once"),
    (lambda i: i.search(NAN), "`queries`.*row 0"),
    (lambda i: i.search(np.eye(2)), "`queries`.*3 dimensions"),
    (lambda i: i.search(np.eye(3), k=0), "`k`"),
    (lambda i: i.search(np.eye(3), k=2.0), "`k`"),
    (lambda i: i.match(np.eye(3), float("nan")), "`threshold`"),
    (lambda i: i.match(np.eye(3), "0.5"), "`threshold`"),
    (lambda i: i.match(np.eye(3), 0.5, by="best"), "`by`"),
]


def test_unsigned_labels_to_search_among_are_compared_as_whole_numbers():
    index = Index()
    index.add(np.eye(2), labels=[2**60, 2**60 + 1])
    far_apart = np.array([2**60, *range(0, 10**17, 10**15)], "uint64")
    assert index.search(np.eye(2), labels=far_apart).ids.tolist() == [[0], [0]]


@pytest.mark.parametrize("act, message", BAD)
def test_bad_input_changes_nothing(act, message):
    index = with_three()
    with pytest.raises(ValueError, match=message):
        act(index)
    assert index.ids.tolist() == [0, 1, 2] and index.labels.tolist() == [4, 5, 6]
    np.testing.assert_array_equal(index.vectors, np.eye(3))
    assert index.search(np.eye(3), k=1).ids.tolist() == [[0], [1], [2]]


def test_bad_indexes():
    with pytest.raises(ValueError, match="empty"):
        Index().search(np.eye(3))
    with pytest.raises(ValueError, match="empty"):
        Index().match(np.eye(3), 0.5)
    with pytest.raises(ValueError, match="`backend`.*annoy"):
        Index(backend="annoy")
    with pytest.raises(ValueError, match="Did you mean 'cosine'"):
        Index("cosin")
    for backend in ("faiss", "usearch"):
        with pytest.raises(ValueError, match="cosine.*inner_product.*manhattan.*backend='exact'"):
            Index("manhattan", backend)
    with pytest.raises(ValueError, match="`storage` of Index.*float16"):
        Index(storage="float16")
    with pytest.raises(ValueError, match="storage='int8'.*manhattan.*storage='float32'"):
        Index("manhattan", storage="int8")
    with pytest.raises(ValueError, match="`backend` of Index must be 'exact'"):
        Index(backend="faiss", storage="int8")
    with pytest.raises(ValueError, match="`rescore`"):
        Index(storage="int8", rescore=0)


def test_a_missing_package_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match="keras-metric\\[index\\]"):
        Index(backend="faiss")


def test_every_distance_can_be_searched_by():
    x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32") / 5
    for name in distances.DISTANCES.names():
        index = Index(name)
        index.add(x)
        distance = distances.get(name)
        expected = [[float(distance.between(a[None], b[None])[0]) for b in x] for a in x[:3]]
        found = index.search(x[:3], k=6).distances
        np.testing.assert_allclose(found, np.sort(expected, 1)[:, :6], rtol=1e-4, atol=1e-5)
