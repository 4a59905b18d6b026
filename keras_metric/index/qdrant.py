"""Hand-over of an index to Qdrant, a vector database, through its own client, and searches there in the same units.

from qdrant_client import QdrantClient
from keras_metric.index import qdrant

client = QdrantClient("localhost")
qdrant.upload(index, client, "gallery")
found = qdrant.search(client, "gallery", queries, k=5)
"""

import uuid

import numpy as np

from keras_metric import distances, extras
from keras_metric.index import rows
from keras_metric.index.results import SearchResult

# Qdrant's name of each distance, and how its score becomes that distance.
DISTANCES = {
    "cosine": ("COSINE", lambda score: np.maximum(1.0 - score, 0.0)),
    "euclidean": ("EUCLID", lambda score: score),
    "squared_euclidean": ("EUCLID", np.square),
    "inner_product": ("DOT", np.negative),
    "manhattan": ("MANHATTAN", lambda score: score),
}
NAMESPACE = uuid.UUID(
    "6f1d9e0c-6f0e-4a86-9a35-3f3c2ed1b8c7"
)  # of the points of ids that Qdrant does not take


def upload(index, client, collection, batch_size=256):
    """Writes every item of an index into a collection, with id, label and payload.

    The collection is made where it is not there yet; otherwise points of the same ids are replaced. Qdrant's own ids
    are whole numbers >= 0 or UUIDs: such ids stay what they are, others become a UUID made of the id. The payload of
    each point is `{"id": …, "label": …, "payload": …}`.

    Args:
        index: `Index` by one of the distances above.
        client: `qdrant_client.QdrantClient`.
        collection: name of the collection.
        batch_size: points of one request.

    Raises:
        ValueError: for an empty index, a distance that Qdrant lacks, or a collection of another width or distance.
        ImportError: if the extra `qdrant` is not installed.
    """
    models = extras.require("qdrant_client.models", extra="qdrant")
    batch_size = rows.whole(batch_size, "batch_size")
    name = distances.DISTANCES.name_of(index.distance)
    if name not in DISTANCES:
        rows.fail("distance", f"be one of {list(DISTANCES)} for Qdrant", f"distance={name!r}")
    if not len(index):
        raise ValueError("The Index is empty: there is nothing to hand over to Qdrant.")
    wanted = models.VectorParams(
        size=index.vectors.shape[1], distance=getattr(models.Distance, DISTANCES[name][0])
    )
    _make_or_check(client, collection, wanted)
    client.upload_collection(
        collection,
        vectors=np.asarray(index.vectors),
        ids=[_point_id(one) for one in index.ids.tolist()],
        payload=_payloads(index),
        batch_size=batch_size,
        wait=True,
    )


def search(client, collection, queries, k=10, distance=None, labels=None):
    """The k nearest points of each query, as `Index.search` gives them.

    Args:
        client, collection: as in `upload`.
        queries: (Q, D) numbers.
        k: neighbours wanted; where there are fewer, all there are.
        distance: name; needed only where it is squared_euclidean, which Qdrant knows as the Euclidean distance.
        labels: only points with this label, or one of these.

    Returns:
        `SearchResult`; equally near points stand in Qdrant's order, not in that of adding.
    """
    models = extras.require("qdrant_client.models", extra="qdrant")
    k = rows.whole(k, "k")
    held = client.get_collection(collection).config.params.vectors
    there = [name for name, (theirs, _) in DISTANCES.items() if theirs == held.distance.name]
    distance = there[0] if distance is None else distance
    if distance not in there:
        rows.fail("distance", f"be one of {there} in this collection", f"distance={distance!r}")
    queries = rows.vectors(queries, "queries", held.size)
    chosen = None if labels is None else _label_filter(models, labels)
    requests = [
        models.QueryRequest(query=one.tolist(), limit=k, with_payload=True, filter=chosen)
        for one in queries
    ]
    answers = [one.points for one in client.query_batch_points(collection, requests)]
    scores = np.array([[point.score for point in points] for points in answers])
    found = [[point.payload for point in points] for points in answers]
    payload = [[one.get("payload") for one in points] for points in found]
    return SearchResult(
        DISTANCES[distance][1](scores).astype("float32"),
        np.array([[one["id"] for one in points] for points in found]),
        np.array([[one["label"] for one in points] for points in found])
        if found and found[0] and "label" in found[0][0]
        else None,
        payload if any(one is not None for points in payload for one in points) else None,
    )


def _make_or_check(client, collection, wanted):
    if not client.collection_exists(collection):
        client.create_collection(collection, vectors_config=wanted)
        return
    held = client.get_collection(collection).config.params.vectors
    if (held.size, held.distance) != (wanted.size, wanted.distance):
        raise ValueError(
            f"The collection {collection!r} holds vectors of {held.size} dimensions by {held.distance.name}; the index "
            f"has {wanted.size} by {wanted.distance.name}. Take another name."
        )


def _point_id(one):
    if isinstance(one, int) and one >= 0:
        return one
    try:
        if (
            str(uuid.UUID(one)) == one
        ):  # in one of its spellings, so that no two ids become one point
            return one
    except (ValueError, AttributeError, TypeError):
        pass
    return str(uuid.uuid5(NAMESPACE, repr(one)))


def _payloads(index):
    ids = index.ids.tolist()
    labels = None if index.labels is None else index.labels.tolist()
    payload = index.payload
    for row, one in enumerate(ids):
        told = {"id": one}
        if labels is not None:
            told["label"] = labels[row]
        if payload is not None:
            told["payload"] = payload[row]
        yield told


def _label_filter(models, labels):
    labels = np.atleast_1d(np.asarray(labels)).tolist()
    return models.Filter(
        must=[models.FieldCondition(key="label", match=models.MatchAny(any=labels))]
    )
