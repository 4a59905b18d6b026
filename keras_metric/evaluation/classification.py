"""How well simple classifiers tell the classes apart on embeddings."""

import numpy as np

from keras_metric import checks
from keras_metric.evaluation import rows
from keras_metric.evaluation.labels import encode
from keras_metric.evaluation.results import ClassificationResult
from keras_metric.evaluation.scores import unit_rows
from keras_metric.extras import require

OWNER = "classification"
CLASSIFIERS = ("knn", "svm", "logistic")
AVERAGES = ("macro", "micro", "weighted")
DISTANCES = ("cosine", "euclidean")


def classification(
    x,
    labels,
    test=None,
    test_labels=None,
    classifiers=CLASSIFIERS,
    distance="cosine",
    neighbors=5,
    average="macro",
    folds=5,
    seed=0,
):
    """Accuracy, precision, recall and F1 of classifiers that are fitted on embeddings, in one call.

        result = evaluation.classification(train, train_labels, test, test_labels)
        result["knn/accuracy"], result["svm/f1"], result.per_class["logistic"]["cat"]["recall"]

    The classifiers are scikit-learn's: `"knn"` `KNeighborsClassifier`, by search over all rows; `"svm"` `SVC` with its
    radial kernel, whose time grows with the square of the rows; `"logistic"` `LogisticRegression`.

    Args:
        x: embeddings (N, D) to fit on.
        labels: one class for each: integers of any size or text, (N,) or (N, 1).
        test: embeddings (M, D) to judge by. None: stratified cross-validation on `x`, in `folds` parts (fewer if the
            smallest class has fewer rows), so that every row is predicted once by a classifier that has not seen it.
        test_labels: their classes; rows of a class that is not in `labels` count as told wrongly.
        classifiers: names, or a mapping name → scikit-learn classifier.
        distance: `"cosine"`: all classifiers see rows of length 1; `"euclidean"`: rows as they are.
        neighbors: of `"knn"`.
        average: of precision, recall and F1: `"macro"` mean over classes, `"weighted"` by their rows, `"micro"` over
            all rows (then all of them equal the accuracy). A class that is never predicted has precision 0.
        folds: parts of the cross-validation.
        seed: makes folds and classifiers repeatable.

    Returns:
        `ClassificationResult`: a mapping `classifier/figure` → float for the figures `accuracy`, `precision`, `recall`
        and `f1`, with `predictions` and `per_class`.

    Raises:
        ImportError: without scikit-learn (`pip install 'keras-metric[evaluation]'`).
        ValueError: for other lengths or widths, values that are not finite, one class only, no class in common, or a
            class of one row where there is no `test`.
    """
    require("sklearn", "evaluation")
    checks.choice(distance, "distance", OWNER, DISTANCES)
    checks.choice(average, "average", OWNER, AVERAGES)
    x, codes, test, test_codes, vocabulary = _data(x, labels, test, test_labels)
    if distance == "cosine":
        x, test = unit_rows(x), None if test is None else unit_rows(test)
    splitter = None if test is not None else _folds(codes, folds, seed)
    fitted_on = len(x) if splitter is None else len(x) - -(-len(x) // splitter.n_splits)
    models = _models(classifiers, neighbors, fitted_on, seed)
    truth = codes if test is None else test_codes
    names = np.array(vocabulary, dtype=None if _alike(vocabulary) else object)
    values, predictions, per_class = {}, {}, {}
    for name, model in models.items():
        predicted = _predict(model, x, codes, test, splitter)
        for figure, value in _figures(truth, predicted, average).items():
            values[f"{name}/{figure}"] = value
        predictions[name] = names[predicted]
        per_class[name] = _per_class(truth, predicted, vocabulary)
    return ClassificationResult(values, predictions, per_class)


def _data(x, labels, test, test_labels):
    if (test is None) != (test_labels is None):
        missing = "test" if test is None else "test_labels"
        checks.fail(missing, OWNER, "be given: the two go together", None)
    x = rows.as_matrix(x, "x", OWNER)
    given = {"labels": labels} if test is None else {"labels": labels, "test_labels": test_labels}
    encoded, vocabulary = encode(list(given.values()), list(given), OWNER)
    if encoded[0].several:
        checks.fail("labels", OWNER, "be one class a row", "several")
    rows.same_length(x, "x", encoded[0], "labels", OWNER)
    codes, test_codes = encoded[0].codes, encoded[-1].codes
    if len(np.unique(codes)) < 2:
        checks.fail("labels", OWNER, "hold at least 2 classes", vocabulary)
    if test is not None:
        test = rows.as_matrix(test, "test", OWNER)
        rows.same_width(x, test, "x", "test", OWNER)
        rows.same_length(test, "test", encoded[1], "test_labels", OWNER)
        if not np.isin(test_codes, codes).any():
            raise ValueError(
                f"`test_labels` of {OWNER} must hold a class of `labels`. "
                f"Received: {vocabulary[test_codes[0]]!r} and others that are all unknown, as against "
                f"{vocabulary[codes[0]]!r}."
            )
    return x, codes, test, test_codes, vocabulary


def _folds(codes, folds, seed):
    checks.whole(folds, "folds", OWNER, at_least=2)
    smallest = int(np.bincount(codes).min())
    if smallest < 2:
        alone = int(np.count_nonzero(np.bincount(codes) == 1))
        raise ValueError(
            f"`labels` of {OWNER} must give every class 2 rows or more where there is no `test`. "
            f"Received: {alone} classes of one row. Leave them out, or give `test` and `test_labels`."
        )
    selection = require("sklearn.model_selection", "evaluation")
    return selection.StratifiedKFold(min(folds, smallest), shuffle=True, random_state=seed)


def _models(classifiers, neighbors, fitted_on, seed):
    if hasattr(classifiers, "items"):
        return dict(classifiers)
    names = [classifiers] if isinstance(classifiers, str) else list(classifiers)
    for name in names:
        checks.choice(name, "classifiers", OWNER, CLASSIFIERS)
    models = {}
    for name in names:
        if name == "knn":
            checks.whole(neighbors, "neighbors", OWNER)
            if neighbors > fitted_on:
                rule = f"be at most the {fitted_on} rows fitted on"
                checks.fail("neighbors", OWNER, rule, neighbors)
            kind = require("sklearn.neighbors", "evaluation").KNeighborsClassifier
            models[name] = kind(neighbors, algorithm="brute")
        elif name == "svm":
            models[name] = require("sklearn.svm", "evaluation").SVC(random_state=seed)
        else:
            kind = require("sklearn.linear_model", "evaluation").LogisticRegression
            models[name] = kind(max_iter=1000, random_state=seed)
    return models


def _predict(model, x, codes, test, splitter):
    if splitter is None:
        return require("sklearn.base", "evaluation").clone(model).fit(x, codes).predict(test)
    selection = require("sklearn.model_selection", "evaluation")
    return selection.cross_val_predict(model, x, codes, cv=splitter)


def _figures(truth, predicted, average):
    metrics = require("sklearn.metrics", "evaluation")
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, predicted, average=average, zero_division=0
    )
    accuracy = metrics.accuracy_score(truth, predicted)
    return {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1}


def _per_class(truth, predicted, vocabulary):
    metrics = require("sklearn.metrics", "evaluation")
    present = np.unique(truth)
    columns = metrics.precision_recall_fscore_support(
        truth, predicted, labels=present, average=None, zero_division=0
    )
    kinds = ("precision", "recall", "f1", "support")
    return {
        vocabulary[code]: {
            kind: kind_values[i].item() for kind, kind_values in zip(kinds, columns, strict=True)
        }
        for i, code in enumerate(present)
    }


def _alike(vocabulary):
    return all(isinstance(one, str) for one in vocabulary) or all(
        isinstance(one, int) and -(2**63) <= one < 2**63 for one in vocabulary
    )
