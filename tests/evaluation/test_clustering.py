"""Clustering: the four figures against their formulas, and what k-means is asked to do."""

import math
import sys
from collections import Counter

import numpy as np
import pytest

from keras_metric.evaluation import clustering

pytest.importorskip("sklearn")


def blobs(rows=120, classes=4, spread=0.1, seed=0):
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(rows) % classes)
    return 3 * np.eye(classes)[labels] + spread * random.normal(size=(rows, classes)), labels


def entropy(counts, total):
    return -sum(c / total * math.log(c / total) for c in counts.values())


def by_formula(classes, clusters):
    """nmi, ari and purity from the table of counts, by loops."""
    n = len(classes)
    both = Counter(zip(classes, clusters, strict=True))
    rows, columns = Counter(classes), Counter(clusters)
    mutual = sum(c / n * math.log(c * n / (rows[a] * columns[b])) for (a, b), c in both.items())
    agree, in_rows, in_columns = (
        sum(math.comb(c, 2) for c in table.values()) for table in (both, rows, columns)
    )
    chance = in_rows * in_columns / math.comb(n, 2)
    best = Counter()
    for (_, b), c in both.items():
        best[b] = max(best[b], c)
    return {
        "nmi": mutual / ((entropy(rows, n) + entropy(columns, n)) / 2),
        "ari": (agree - chance) / ((in_rows + in_columns) / 2 - chance),
        "purity": sum(best.values()) / n,
    }


def test_separated_classes_are_found():
    x, labels = blobs()
    result = clustering(x, labels)
    assert list(result) == ["nmi", "ami", "ari", "purity"]
    assert dict(result) == pytest.approx(dict.fromkeys(result, 1.0))
    assert result.algorithm == "KMeans" and len(set(result.clusters)) == 4


def test_the_figures_are_those_of_the_clusters():
    x, labels = blobs(spread=1.5)
    text = np.array(["a", "b", "c", "d"])[labels]
    result = clustering(x, text)
    expected = by_formula(labels.tolist(), result.clusters.tolist())
    assert {name: result[name] for name in expected} == pytest.approx(expected)
    assert 0.05 < result["ami"] < result["nmi"] < 0.95


def test_chance_agreement():
    random = np.random.default_rng(0)
    result = clustering(random.normal(size=(400, 4)), np.arange(400) // 8)
    assert abs(result["ami"]) < 0.1 and abs(result["ari"]) < 0.05
    assert result["nmi"] > 0.4  # rises by chance with many clusters


def test_the_seed_decides():
    x, labels = blobs(spread=1.5)
    first, again = clustering(x, labels, runs=1, seed=3), clustering(x, labels, runs=1, seed=3)
    np.testing.assert_array_equal(first.clusters, again.clusters)


def test_cosine_looks_at_directions():
    x, labels = blobs()
    x *= np.geomspace(1, 1000, len(x))[:, None]
    assert clustering(x, labels, distance="cosine")["nmi"] == pytest.approx(1)
    assert clustering(x, labels)["nmi"] < 0.9


def test_points_far_from_the_origin():
    x, labels = blobs()
    assert clustering(x + 1e6, labels)["nmi"] == pytest.approx(1)


def test_input_is_left_alone():
    x, labels = blobs()
    x = x.astype("float32")
    before = x.copy()
    clustering(x, labels)
    clustering(x, labels, distance="cosine")
    np.testing.assert_array_equal(x, before)


def test_large_sets_in_small_steps(monkeypatch):
    x, labels = blobs(2000)
    monkeypatch.setattr(sys.modules["keras_metric.evaluation.clustering"], "EXACT", 1000)
    result = clustering(x, labels)
    assert result.algorithm == "MiniBatchKMeans" and result["nmi"] > 0.99


@pytest.mark.parametrize("labels", [np.zeros(20, int), np.arange(20)])
def test_labels_that_say_nothing(labels):
    with pytest.raises(ValueError, match="at least 2 classes, one of them with 2 rows"):
        clustering(np.random.default_rng(0).normal(size=(20, 3)), labels)


def test_bad_input():
    x, labels = blobs(20)
    with pytest.raises(ValueError, match="`x` and `labels` of clustering.*20 and 19"):
        clustering(x, labels[1:])
    with pytest.raises(ValueError, match="`distance` of clustering must be one of"):
        clustering(x, labels, distance="manhattan")
    with pytest.raises(ValueError, match="one class a row"):
        clustering(x, [{1, 2}] * 20)
    x[4] = np.nan
    with pytest.raises(ValueError, match=r"1 of 20 rows \(rows 4\)"):
        clustering(x, labels)
