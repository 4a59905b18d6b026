"""An index handed over to Qdrant's own engine, run in this process."""

import numpy as np
import pytest

from keras_metric.index import Index, qdrant

qdrant_client = pytest.importorskip("qdrant_client")


@pytest.fixture
def client():
    return qdrant_client.QdrantClient(":memory:")


def gallery(distance, ids=None, labels=True):
    random = np.random.default_rng(3)
    index = Index(distance)
    index.add(
        random.normal(size=(80, 6)),
        ids=ids,
        labels=np.array(["cat", "dog"])[np.arange(80) % 2] if labels else None,
        payload=[{"row": row} for row in range(80)],
    )
    return index, random.normal(size=(7, 6))


@pytest.mark.parametrize("distance", qdrant.DISTANCES)
def test_the_same_neighbours_at_the_same_distances(client, distance):
    index, queries = gallery(distance)
    qdrant.upload(index, client, "gallery", batch_size=32)
    assert client.count("gallery").count == 80
    expected = index.search(queries, k=9)
    found = qdrant.search(client, "gallery", queries, k=9, distance=distance)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.payload == expected.payload
    only = qdrant.search(client, "gallery", queries, k=99, labels="dog")
    assert only.ids.shape == (7, 40) and set(only.labels.ravel()) == {"dog"}


SPELLINGS = [f"{n:032x}" for n in range(40)] + [f"{{{n:032x}}}" for n in range(40)]  # of 40 UUIDs


@pytest.mark.parametrize(
    "ids", [[f"photo é {n}" for n in range(80)], [-n for n in range(80)], SPELLINGS]
)
def test_ids_that_qdrant_does_not_take(client, ids):
    index, queries = gallery("cosine", ids, labels=False)
    qdrant.upload(index, client, "gallery")
    qdrant.upload(index, client, "gallery")  # the same points again
    assert client.count("gallery").count == 80
    found = qdrant.search(client, "gallery", queries, k=3)
    np.testing.assert_array_equal(found.ids, index.search(queries, k=3).ids)
    assert found.labels is None and found.ids.dtype.kind == index.ids.dtype.kind


def test_bad_input(client):
    index, queries = gallery("cosine")
    with pytest.raises(ValueError, match="distance.*cosine.*chebyshev"):
        qdrant.upload(gallery("chebyshev")[0], client, "gallery")
    with pytest.raises(ValueError, match="empty"):
        qdrant.upload(Index(), client, "gallery")
    assert not client.collection_exists("gallery")
    qdrant.upload(index, client, "gallery")
    with pytest.raises(ValueError, match="6 dimensions by COSINE.*6 by EUCLID"):
        qdrant.upload(gallery("euclidean")[0], client, "gallery")
    with pytest.raises(ValueError, match="`queries`"):
        qdrant.search(client, "gallery", queries[:, :3])
    with pytest.raises(ValueError, match="`distance`.*cosine"):
        qdrant.search(client, "gallery", queries, distance="euclidean")
