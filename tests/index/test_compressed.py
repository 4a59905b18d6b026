"""Codes of 8 bits and of 1 bit: what they hold, what they miss, and that nothing but candidates comes from them."""

import json

import numpy as np
import pytest

from keras_metric.index import Index

PRODUCTS = ("cosine", "euclidean", "squared_euclidean", "inner_product")


@pytest.fixture(scope="module")
def scans():
    """Real rows (1797, 64): scikit-learn's handwritten digits, and queries that were held out."""
    datasets = pytest.importorskip("sklearn.datasets")
    x = datasets.load_digits().data.astype("float32")
    return x[300:], x[:300]


def neighbours(x, queries, k):
    """Rows of the k nearest by a plain sort in float64."""
    gaps = ((queries[:, None].astype("float64") - x[None]) ** 2).sum(2)
    return np.argsort(gaps, axis=1, kind="stable")[:, :k], np.sqrt(np.sort(gaps, axis=1)[:, :k])


@pytest.mark.parametrize("storage, least", [("int8", 0.99), ("binary", 0.9)])
def test_recall_and_exact_distances(scans, storage, least):
    gallery, queries = scans
    index = Index("euclidean", storage=storage, rescore=None if storage == "int8" else 10)
    index.add(gallery)
    found = index.search(queries, k=10)
    right, distances = neighbours(gallery, queries, 10)
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.ids, right, strict=True)])
    assert share >= least
    assert index.recall(queries, k=10) == pytest.approx(share, abs=0.005)  # ties count as found
    # Whatever was found stands at its true distance, nearest first.
    rows = gallery[found.ids].astype("float64")
    true = np.sqrt(((rows - queries[:, None]) ** 2).sum(2))
    np.testing.assert_allclose(found.distances, true, rtol=1e-6)
    assert np.all(np.diff(found.distances, axis=1) >= 0)
    assert np.all(found.distances[:, 0] >= distances[:, 0].astype("float32"))


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("storage", ["int8", "binary"])
def test_recall_by_every_distance_it_has(scans, storage, name):
    index = Index(name, storage=storage)
    index.add(scans[0] - 4)
    assert index.recall(scans[1] - 4, k=5) >= 0.98
    assert Index.recall(index, scans[1][:1], k=5000) == 1.0  # everything is a candidate


def test_more_candidates_find_more(scans):
    shares = []
    for rescore in (1, 3, 10, 40):
        index = Index(storage="binary", rescore=rescore)
        index.add(scans[0])
        shares.append(index.recall(scans[1]))
    assert shares == sorted(shares) and shares[0] < 0.9 < shares[-1]


def test_recall_of_exact_search_is_one(scans):
    index = Index()
    index.add(scans[0])
    assert index.recall(scans[1][:20]) == 1.0
    with pytest.raises(ValueError, match="`queries`.*one or more rows"):
        index.recall(np.empty((0, 64)))


@pytest.mark.parametrize("storage, share", [("int8", 1 / 4), ("binary", 1 / 32)])
def test_a_mapped_index_holds_a_quarter_or_a_32nd(scans, tmp_path, storage, share):
    index = Index(storage=storage)
    x = np.tile(scans[0], (10, 2))  # 14970 × 128
    index.add(x)
    assert index.nbytes > x.nbytes
    index.save(tmp_path / "g")
    back = Index.load(tmp_path / "g", mmap=True)
    assert share * x.nbytes <= back.nbytes <= share * x.nbytes + 2 * 128 * 4
    assert isinstance(back._items.vectors, np.memmap)
    queries = np.tile(scans[1][:20], 2)
    found, again = index.search(queries), back.search(queries)
    np.testing.assert_array_equal(found.ids, again.ids)
    np.testing.assert_array_equal(found.distances, again.distances)
    assert Index().nbytes == 0 and Index.load(tmp_path / "g", storage="float32").nbytes == x.nbytes


@pytest.mark.parametrize("storage", ["int8", "binary"])
def test_codes_follow_every_change(storage, tmp_path):
    random = np.random.default_rng(0)
    index = Index("euclidean", storage=storage)
    index.add(random.normal(size=(400, 12)))
    index.search(np.zeros((1, 12)))
    index.add(np.full((1, 12), 50.0), ids=[777])  # far outside of what was there
    assert index.search(np.full((1, 12), 49.0), k=1).ids.tolist() == [[777]]
    index.upsert(np.full((1, 12), -50.0), ids=[777])
    assert index.search(np.full((1, 12), -49.0), k=1).ids.tolist() == [[777]]
    index.save(tmp_path / "g")
    index.remove([777])
    assert 777 not in index.search(np.full((1, 12), -49.0), k=400).ids
    index.save(tmp_path / "g")
    back = Index.load(tmp_path / "g", mmap=True)
    assert back.storage == storage and len(back) == 400
    assert (
        back.search(np.zeros((2, 12)), k=3).ids.tolist()
        == index.search(np.zeros((2, 12)), k=3).ids.tolist()
    )


def test_settings_come_back_and_can_be_changed(tmp_path):
    index = Index(storage="binary", rescore=7)
    index.add(np.eye(9))
    index.save(tmp_path / "g")
    back = Index.load(tmp_path / "g")
    assert (back.storage, back.rescore) == ("binary", 7) and "storage='binary'" in repr(back)
    other = Index.load(tmp_path / "g", storage="int8")
    assert (other.storage, other.rescore) == ("int8", None)
    assert other.search(np.eye(9), k=1).ids.ravel().tolist() == list(range(9))
    Index(storage="int8").save(tmp_path / "empty")
    assert len(Index.load(tmp_path / "empty", mmap=True)) == 0


@pytest.mark.parametrize("name", ["codes.npy", "scaling.npy"])
def test_damaged_codes_are_seen(tmp_path, name):
    index = Index(storage="int8")
    index.add(np.random.default_rng(0).normal(size=(50, 8)))
    index.save(tmp_path / "g")
    (file,) = (tmp_path / "g").glob(f"data-*/{name}")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} was changed"):
        Index.load(tmp_path / "g", mmap=True)
    head = tmp_path / "g" / "index.json"
    told = json.loads(head.read_text())
    del told["files"][name]
    head.write_text(json.dumps(told))
    with pytest.raises(ValueError, match="do not fit together"):
        Index.load(tmp_path / "g")


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10, 1e30])
@pytest.mark.parametrize("name", ["cosine", "euclidean", "inner_product"])
@pytest.mark.parametrize("storage", ["int8", "binary"])
def test_tiny_huge_and_equal_embeddings(storage, name, scale):
    if name == "inner_product":
        scale = min(scale, 1e15)  # the distance itself is to fit into float32
    x = (np.random.default_rng(0).normal(size=(600, 6)) * scale).astype("float32")
    index, exact = Index(name, storage=storage), Index(name)
    for one in (index, exact):
        one.add(x)
    # A query of another size than the corpus must not overflow either.
    for queries in (x[:20], x[:20] * np.float32(min(1e6, 1e36 / scale))):
        assert index.recall(queries, k=3) > 0.9
    index = Index(name, storage=storage)
    index.add(np.full((30, 6), scale))
    assert index.search(np.full((1, 6), scale), k=4).ids.tolist() == [[0, 1, 2, 3]]
