import numpy as np
import pytest

from keras_metric.index import Index


def people():
    index = Index("euclidean")
    index.add(
        [[0.0], [1.0], [1.2], [5.0]],
        ids=["ann 1", "bob 1", "bob 2", "eve 1"],
        labels=["ann", "bob", "bob", "eve"],
    )
    return index


def test_the_nearest_within_the_threshold_or_nobody():
    found = people().match([[0.25], [9.0], [4.0]], threshold=1.0)
    assert found.ids.tolist() == ["ann 1", "", "eve 1"]
    assert found.labels.tolist() == ["ann", "", "eve"]
    assert found.matched.tolist() == [True, False, True]
    np.testing.assert_allclose(found.distances, [0.25, 4.0, 1.0])


def test_a_distance_equal_to_the_threshold_matches_and_the_next_one_does_not():
    index = Index("euclidean")
    index.add([[0.0]])
    stored = np.float32(0.1)  # 0.100000001490116
    queries = [[stored], [np.nextafter(stored, np.float32(0))]]
    assert index.match(queries, float(stored)).matched.tolist() == [True, True]
    assert index.match(queries, 0.1).matched.tolist() == [False, True]
    assert index.match(queries, 0.1).ids.tolist() == [-1, 0]
    assert index.match(queries, 0.1).labels is None


def test_the_vote():
    found = people().match([[0.5], [0.4], [3.0], [20.0]], threshold=2.1, by="vote", k=3)
    # At 0.5 and 0.4 two bobs outvote ann; at 3.0 two bobs (1.8, 2.0) outvote eve (2.0).
    assert found.labels.tolist() == ["bob", "bob", "bob", ""]
    assert found.ids.tolist() == ["bob 1", "bob 1", "bob 2", ""]
    np.testing.assert_allclose(found.distances, [0.5, 0.6, 1.8, 15.0], rtol=1e-6)
    # Only those within the threshold vote, and equal votes go to the nearest.
    found = people().match([[0.4]], threshold=0.7, by="vote", k=3)
    assert found.labels.tolist() == ["ann"]


def test_numbers_as_labels_and_filters():
    index = Index("euclidean")
    index.add([[0.0], [1.0], [2.0]], labels=[7, 8, 7])
    found = index.match([[1.1], [9.0]], threshold=1.0, labels=7)
    assert found.ids.tolist() == [2, -1] and found.labels.tolist() == [7, -1]
    assert found.ids.dtype == found.labels.dtype == np.int64


def test_a_vote_needs_labels():
    index = Index()
    index.add(np.eye(2))
    with pytest.raises(ValueError, match="no labels"):
        index.match(np.eye(2), 0.5, by="vote")
