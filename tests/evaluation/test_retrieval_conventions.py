"""Conventions against numbers that the libraries themselves gave.

Recorded from pytorch-metric-learning 2.9.0 (`AccuracyCalculator` with k = 5 and with all neighbours),
sentence-transformers 6.2.0 (`InformationRetrievalEvaluator.compute_metrics`) and open-metric-learning 4.0.0
(`calc_cmc`, `calc_precision`, `calc_map`, which answer in float32), all on the points below, leave-one-out.
"""

import numpy as np
import pytest

from keras_metric.evaluation import retrieval

RECORDED = {
    "pml": {
        "map@5": 0.06126289682539682,
        "map@39": 0.22092137043956975,  # k=None: all neighbours
        "map@r": 0.07071850198412698,
        "r_precision": 0.16395833333333334,
        "hit@1": 0.125,  # precision_at_1
        "mrr": 0.3226448595523834,  # in float32
        "mrr@5": 0.2862499952316284,
    },
    "sentence-transformers": {
        "hit@1": 0.125,  # accuracy@1
        "hit@3": 0.375,
        "hit@20": 0.95,
        "precision@5": 0.18,
        "precision@20": 0.15625,
        "recall@3": 0.0669047619047619,
        "recall@20": 0.46122023809523804,
        "ndcg@5": 0.16603364425311798,
        "ndcg@20": 0.3040207087668792,
        "mrr@3": 0.225,
        "mrr@20": 0.3213281163281162,
        "map@1": 0.125,
        "map@3": 0.1,
        "map@5": 0.08574999999999999,
        "map@20": 0.1326799301292819,
    },
    "oml": {
        "hit@3": 0.375,  # cmc@3
        "hit@5": 0.6499999761581421,
        "precision@3": 0.15833333134651184,
        "precision@5": 0.17999999225139618,
        "precision@20": 0.4612202048301697,
        "map@1": 0.125,
        "map@3": 0.21875,
        "map@5": 0.27937501668930054,
        "map@20": 0.2547493875026703,
    },
}


def points():
    """40 points of 6 classes, sizes 2 to 9, without ties."""
    random = np.random.default_rng(11)
    labels = random.integers(0, 6, 40)
    x = random.integers(-9, 10, (40, 3)) * 1.0
    return x + np.arange(40)[:, None] * 1e-3 * np.array([1, 7, 13]), labels


@pytest.mark.parametrize("convention", RECORDED)
def test_the_numbers_of_the_libraries(convention):
    expected = RECORDED[convention]
    x, labels = points()
    result = retrieval(
        x, labels, metrics=list(expected), distance="euclidean", convention=convention
    )
    assert dict(result) == pytest.approx(expected, abs=5e-8)


def test_one_ranking_three_answers():
    # One query with 10 relevant items, of which the first and the fifth place show one.
    gallery = np.arange(1.0, 21.0)[:, None]
    labels = np.array([1, 0, 0, 0, 1] + [0] * 7 + [1] * 8)
    found = {
        name: retrieval([[0.0]], [1], gallery, labels, "map@5", "euclidean", convention=name)
        for name in ("keras-metric", "pml", "sentence-transformers", "oml")
    }
    assert {name: round(result["map@5"], 10) for name, result in found.items()} == {
        "keras-metric": 0.28,
        "pml": 0.14,
        "sentence-transformers": 0.28,
        "oml": 0.70,
    }


def test_precision_with_few_relevant_items():
    # One relevant item only, and it comes first.
    split = ([[0.0]], [1], np.arange(1.0, 9.0)[:, None], [1] + [0] * 7, "precision@5", "euclidean")
    assert retrieval(*split)["precision@5"] == pytest.approx(0.2)
    assert retrieval(*split, convention="pml")["precision@5"] == pytest.approx(0.2)
    assert retrieval(*split, convention="oml")["precision@5"] == 1


def test_no_hit_among_the_first_is_0():
    split = ([[0.0]], [1], np.arange(1.0, 9.0)[:, None], [0] * 7 + [1], "map@5", "euclidean")
    assert retrieval(*split, convention="oml")["map@5"] == 0


def test_an_unknown_convention():
    x, labels = points()
    with pytest.raises(ValueError, match="`convention` of retrieval must be one of"):
        retrieval(x, labels, convention="trec")
