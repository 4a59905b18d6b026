"""Classification on embeddings, and the encoder as a step of a scikit-learn pipeline."""

import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_metric import evaluation, models
from keras_metric.evaluation import classification

sklearn = pytest.importorskip("sklearn")


def blobs(rows=150, classes=3, spread=0.3, seed=0):
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(rows) % classes)
    centers = random.normal(size=(classes, 6))
    return centers[labels] + spread * random.normal(size=(rows, 6)), labels


def by_hand(truth, predicted):
    """Accuracy and the macro means, by loops."""
    rows = list(zip(truth, predicted, strict=True))
    scores = []
    for label in set(truth) | set(predicted):
        right = sum(t == p == label for t, p in rows)
        claimed, actual = sum(p == label for _, p in rows), sum(t == label for t, _ in rows)
        precision = right / claimed if claimed else 0
        recall = right / actual if actual else 0
        f1 = 2 * precision * recall / (precision + recall) if right else 0
        scores.append((precision, recall, f1))
    precision, recall, f1 = np.mean(scores, axis=0)
    accuracy = np.mean([t == p for t, p in rows])
    return {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1}


def nearest_by_loops(x, labels, test, k):
    unit = [v / np.linalg.norm(v) for v in x]
    found = []
    for v in test:
        order = sorted(range(len(x)), key=lambda j: -float(unit[j] @ v))[:k]
        votes = [labels[j] for j in order]
        found.append(max(sorted(set(votes)), key=votes.count))
    return found


def test_separated_classes_are_told_by_all():
    x, labels = blobs(spread=0.05)
    result = classification(x[:100], labels[:100], x[100:], labels[100:])
    figures = ("accuracy", "precision", "recall", "f1")
    assert set(result) == {f"{c}/{f}" for c in ("knn", "svm", "logistic") for f in figures}
    assert all(value == 1 for value in result.values())


@pytest.mark.parametrize("k", [1, 5])
def test_neighbors_against_loops(k):
    x, labels = blobs(spread=1.2)
    text = np.array(["red", "green", "blue"])[labels]
    result = classification(x[:100], text[:100], x[100:], text[100:], "knn", neighbors=k)
    expected = nearest_by_loops(x[:100], text[:100].tolist(), x[100:], k)
    assert result.predictions["knn"].tolist() == expected
    wanted = by_hand(text[100:].tolist(), expected)
    assert dict(result) == pytest.approx({f"knn/{name}": v for name, v in wanted.items()})
    assert 0.4 < result["knn/accuracy"] < 0.95
    per_class = result.per_class["knn"]
    assert set(per_class) == {"red", "green", "blue"}
    assert np.mean([one["recall"] for one in per_class.values()]) == pytest.approx(wanted["recall"])
    assert sum(one["support"] for one in per_class.values()) == 50


def test_each_classifier_is_the_one_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    x, labels = blobs(spread=1.0)
    result = classification(x[:100], labels[:100], x[100:], labels[100:], distance="euclidean")
    for name, model in (("svm", SVC()), ("logistic", LogisticRegression(max_iter=1000))):
        expected = model.fit(x[:100], labels[:100]).predict(x[100:])
        np.testing.assert_array_equal(result.predictions[name], expected)


def test_cross_validation_predicts_every_row_unseen():
    x, labels = blobs()
    result = classification(x, labels)
    assert all(len(found) == len(x) for found in result.predictions.values())
    assert all(value > 0.8 for value in result.values())
    # With one neighbour, a row that had been seen would always be right.
    random = np.random.default_rng(0)
    noise = classification(
        random.normal(size=(200, 4)), random.integers(0, 2, 200), classifiers="knn", neighbors=1
    )
    assert noise["knn/accuracy"] < 0.65


def test_small_classes_take_fewer_folds():
    x, labels = blobs(30)
    labels[:2] = 9
    assert len(classification(x, labels, classifiers="knn").predictions["knn"]) == 30


def test_the_seed_decides():
    x, labels = blobs(spread=1.5)
    first, again = (classification(x, labels, classifiers=("knn", "svm"), seed=4) for _ in "12")
    assert dict(first) == dict(again)


def test_averages():
    x, labels = blobs(spread=1.5)
    labels[labels == 2] = np.where(np.arange((labels == 2).sum()) % 5, 1, 2)
    macro, micro, weighted = (
        classification(x, labels, classifiers="logistic", average=a)
        for a in ("macro", "micro", "weighted")
    )
    assert micro["logistic/f1"] == pytest.approx(micro["logistic/accuracy"])
    assert macro["logistic/recall"] == pytest.approx(
        by_hand(labels.tolist(), macro.predictions["logistic"].tolist())["recall"]
    )
    assert weighted["logistic/recall"] == pytest.approx(micro["logistic/accuracy"])


def test_own_classifiers():
    from sklearn.tree import DecisionTreeClassifier

    x, labels = blobs()
    tree = DecisionTreeClassifier(random_state=0)
    result = classification(x[:100], labels[:100], x[100:], labels[100:], {"tree": tree})
    assert result["tree/accuracy"] > 0.7 and not hasattr(tree, "tree_")


def test_ids_keep_their_values():
    x, labels = blobs()
    result = classification(x, labels + 2**53, classifiers="knn")
    assert set(result.predictions["knn"].tolist()) <= set((labels + 2**53).tolist())


def test_a_class_that_was_never_seen_has_recall_0():
    x, labels = blobs(spread=0.05)
    seen = labels < 2
    result = classification(x[seen], labels[seen], x, labels, "knn")
    assert result.per_class["knn"][2]["recall"] == 0
    assert result["knn/accuracy"] == pytest.approx(2 / 3)


def test_bad_input():
    x, labels = blobs(30)

    def refused(match, *args, **kwargs):
        with pytest.raises(ValueError, match=match):
            classification(*args, **kwargs)

    refused("`x` and `labels`.*30 and 29", x, labels[1:])
    refused("`test_labels` of classification must be given", x, labels, x)
    refused("`test` of classification must be given", x, labels, test_labels=labels)
    refused("at least 2 classes", x, np.zeros(30, int))
    refused("1 classes of one row", x, [*labels[:-1], 77])
    refused("`neighbors` of classification must be at most the 24 rows", x, labels, neighbors=25)
    refused("`classifiers` of classification must be one of", x, labels, classifiers=["knm"])
    refused("`average` of classification", x, labels, average="mean")
    refused("same number of dimensions", x, labels, x[:, :3], labels)
    refused("`test_labels` of classification must hold a class", x, labels, x, labels.astype(str))
    x[3] = np.inf
    refused(r"1 of 30 rows \(rows 3\)", x, labels)


# -- the encoder in a pipeline -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(8)])


@pytest.fixture(scope="module")
def images():
    x, labels = blobs(60)
    mix = np.random.default_rng(1).normal(size=(6, 16))
    return (x @ mix).reshape(-1, 4, 4, 1).astype("float32"), labels


def test_in_a_pipeline(encoder, images):
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    pipeline = make_pipeline(evaluation.EmbeddingTransformer(encoder), SVC())
    found = cross_val_score(pipeline, *images, cv=3)
    expected = cross_val_score(SVC(), encoder.predict(images[0], verbose=0), images[1], cv=3)
    np.testing.assert_array_equal(found, expected)
    assert found.mean() > 0.8


def test_a_step_of_scikit_learn(encoder, images):
    from sklearn.base import clone

    step = evaluation.EmbeddingTransformer(encoder, batch_size=7)
    copy = clone(step)
    assert copy is not step and copy.encoder is encoder and copy.batch_size == 7
    assert step.get_params(deep=False) == {"encoder": encoder, "batch_size": 7}
    assert step.fit(*images) is step
    expected = encoder.predict(images[0], verbose=0)
    np.testing.assert_allclose(step.transform(images[0]), expected, atol=1e-6)
    np.testing.assert_allclose(copy.fit_transform(*images), expected, atol=1e-6)
    again = pickle.loads(pickle.dumps(step))
    np.testing.assert_allclose(again.transform(images[0]), expected, atol=1e-6)


def test_a_function_as_encoder(images):
    step = evaluation.EmbeddingTransformer(lambda x: keras.ops.reshape(x, (-1, 16)))
    np.testing.assert_array_equal(step.transform(images[0]), images[0].reshape(-1, 16))


def test_the_encoder_of_a_model_with_proxies_is_used(encoder, images):
    trainer = models.with_proxies(encoder, num_classes=3)
    found = evaluation.EmbeddingTransformer(trainer).transform(images[0].tolist())
    np.testing.assert_allclose(found, encoder.predict(images[0], verbose=0), atol=1e-5)
    with pytest.raises(ValueError, match="`encoder` of EmbeddingTransformer must be a Keras model"):
        evaluation.EmbeddingTransformer("encoder.keras").transform(images[0])


def test_an_encoder_without_embeddings(images):
    with pytest.raises(ValueError, match="`output of the encoder` of EmbeddingTransformer"):
        evaluation.EmbeddingTransformer(lambda x: x).transform(images[0])


def test_without_scikit_learn():
    code = """
import sys
sys.modules["sklearn"] = None
import numpy as np
from keras_metric import evaluation, models
from keras_metric.evaluation import *
assert evaluation.retrieval(np.eye(4), [0, 0, 1, 1], metrics="hit@1")
x, y = np.eye(4), [0, 0, 1, 1]
calls = [lambda: evaluation.clustering(x, y), lambda: evaluation.classification(x, y)]
for call in (*calls, lambda: evaluation.EmbeddingTransformer):
    try:
        call()
    except ImportError as error:
        assert "keras-metric[evaluation]" in str(error), error
    else:
        raise SystemExit("no ImportError")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
