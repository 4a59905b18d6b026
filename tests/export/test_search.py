import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_metric import export
from keras_metric.index import Index

NAMES = (
    "cosine",
    "euclidean",
    "squared_euclidean",
    "inner_product",
    "manhattan",
    "angular",
    "poincare",
)


@pytest.fixture(scope="module")
def identity():
    """An encoder that gives what it gets, so that expected neighbours can be counted by hand."""
    return keras.Sequential([keras.Input((4,)), keras.layers.Identity()], name="identity")


def gallery(distance="cosine", count=60, text=True):
    x = np.random.default_rng(5).normal(size=(count, 4)).astype("float32")
    x[7] = x[31]
    index = Index(distance)
    ids = [f"é {row}" for row in range(count)] if text else None
    labels = ["odd" if row % 2 else "even" for row in range(count)] if text else None
    index.add(x, ids=ids, labels=labels)
    return index


@pytest.mark.parametrize("distance", NAMES)
def test_search_and_match_are_those_of_the_index(identity, tmp_path, distance):
    index = gallery(distance)
    threshold = float(np.median(index.search(index.vectors[:9] + 0.2, k=1).distances))
    folder = export.saved_model(identity, tmp_path, index=index, threshold=threshold, k=5)
    model = tf.saved_model.load(str(folder))
    assert set(model.signatures) == {"serving_default", "embed", "similarity", "search", "match"}
    queries = np.concatenate([index.vectors[:9] + 0.2, index.vectors[31:32]])
    expected = index.search(queries, k=5)
    outputs = model.signatures["search"](inputs=tf.constant(queries))
    assert set(outputs) == {"distances", "ids", "labels"}
    found = {name: export.as_text(x.numpy()) for name, x in outputs.items()}
    np.testing.assert_allclose(found["distances"], expected.distances, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found["ids"], expected.ids)
    np.testing.assert_array_equal(found["labels"], expected.labels)
    if distance != "inner_product":
        assert found["ids"][9, :2].tolist() == ["é 7", "é 31"]
    outputs = model.signatures["match"](inputs=tf.constant(queries))
    assert set(outputs) == {"ids", "labels", "distances", "matched"}
    expected = index.match(queries, threshold)
    for name, x in outputs.items():
        x = export.as_text(x.numpy())
        if name == "distances":
            np.testing.assert_allclose(x, expected.distances, rtol=1e-6, atol=1e-6)
        else:
            np.testing.assert_array_equal(x, getattr(expected, name))
    assert 0 < np.sum(expected.matched) < 10


def test_the_distance_of_the_index_wins(identity, tmp_path):
    folder = export.saved_model(identity, tmp_path, index=gallery("manhattan"), distance="cosine")
    similarity = tf.saved_model.load(str(folder))
    outputs = similarity.signatures["similarity"](a=tf.ones((1, 4)), b=tf.zeros((1, 4)))
    np.testing.assert_array_equal(outputs["distance"], [4])


def test_whole_numbers_without_labels_and_k_beyond_the_size(identity, tmp_path):
    index = gallery(count=32, text=False)
    index.save(tmp_path / "gallery")
    folder = export.saved_model(
        identity, tmp_path / "m", index=tmp_path / "gallery", threshold=-1, k=99
    )
    model = tf.saved_model.load(str(folder))
    outputs = model.signatures["search"](inputs=tf.ones((3, 4)))
    assert set(outputs) == {"distances", "ids"}
    assert outputs["ids"].shape == (3, 32) and outputs["ids"].dtype == tf.int64
    outputs = model.signatures["match"](inputs=tf.ones((3, 4)))
    assert outputs["ids"].numpy().tolist() == [-1] * 3
    assert not np.any(outputs["matched"]) and np.all(outputs["distances"] >= 0)


@pytest.mark.parametrize("text", [True, False])
def test_verify_proves_search_and_match(identity, tmp_path, text):
    index = gallery(text=text)
    folder = export.saved_model(
        identity, tmp_path, index=index, threshold=0.1, warmup=np.ones((2, 4), "float32")
    )
    queries = np.random.default_rng(0).normal(size=(33, 4)).astype("float32")
    given = index if text else None  # or the corpus of the exported model itself
    report = export.verify(folder, identity, queries, index=given)
    assert set(report.differences) == {"serving_default", "embed", "similarity", "search", "match"}
    assert max(report.differences.values()) <= 1e-5
    card = json.loads((folder / "model_card.json").read_text())
    assert card["index"]["size"] == 60 and card["index"]["k"] == 10
    assert card["index"]["labels"] == (["even", "odd"] if text else None)


def test_verify_finds_out_another_index_than_the_exported_one(identity, tmp_path):
    queries = np.eye(4, dtype="float32")
    whole = gallery()
    bare = export.saved_model(identity, tmp_path)
    with pytest.raises(export.VerificationError, match="no index"):
        export.verify(bare, identity, queries, index=whole)

    def other(name, distance=whole.distance, ids=whole.ids, labels=whole.labels, scale=1.0):
        index = Index(distance)
        index.add(whole.vectors * scale, ids=ids, labels=labels)
        return name, index

    folder = export.saved_model(identity, tmp_path, index=whole)
    for name, index in (
        other("distance", distance="euclidean"),
        other("ids", ids=whole.ids[::-1]),
        other("ids", ids=None),
        other("labels", labels=None),
        other("embeddings", scale=2.0),
    ):
        with pytest.raises(export.VerificationError, match=f"other {name} than"):
            export.verify(folder, identity, queries, index=index)


def test_verify_finds_out_a_search_that_misses(identity, tmp_path, monkeypatch):
    from keras_metric.export import corpus

    def farthest(self, x):
        return tf.matmul(x, self.vectors, transpose_b=True)

    monkeypatch.setattr(corpus.Corpus, "_rough", farthest)
    folder = export.saved_model(identity, tmp_path, index=gallery(), k=3)
    with pytest.raises(export.VerificationError, match="search"):
        export.verify(folder, identity, np.eye(4, dtype="float32"))


def test_bad_indexes(identity, tmp_path):
    with pytest.raises(ValueError, match="empty index"):
        export.saved_model(identity, tmp_path, index=Index())
    index = Index()
    index.add(np.eye(3))
    with pytest.raises(ValueError, match="4 dimensions.*3 dimensions"):
        export.saved_model(identity, tmp_path, index=index)
    assert list(tmp_path.iterdir()) == []
