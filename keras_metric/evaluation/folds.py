"""Accuracy of verification with a threshold chosen on other pairs than those that it is judged on."""

import numpy as np
from numpy.typing import ArrayLike

from keras_metric import checks
from keras_metric.evaluation import roc
from keras_metric.evaluation.labels import encode
from keras_metric.evaluation.results import Figures
from keras_metric.evaluation.thresholds import best_place
from keras_metric.evaluation.verification import AT_THRESHOLD, as_pairs, checked_options

OWNER = "verification_folds"


class FoldsResult(Figures):
    """Means over folds.

    Attributes:
        per_fold: name → (folds,), with `threshold` the one chosen on the other folds.
    """

    def __init__(self, values, per_fold):
        super().__init__(values)
        self.per_fold = per_fold


def verification_folds(
    distances, same, folds: int | ArrayLike = 10, strategy="accuracy", far_target=0.001, seed=0
):
    """K-fold verification: the threshold of each fold is chosen on all others. The protocol of LFW.

        result = verification_folds(distances, same, folds=fold_of_each_pair)
        f"{result['accuracy']:.4f} ± {result['accuracy_sd']:.4f}"

    Args:
        distances, same: as in `verification`.
        folds: number of folds, into which same and different pairs are dealt evenly and at random; or the fold of each
            pair, (N,), any ids. Give the folds where a data set comes with its own (LFW's hold different people).
        strategy, far_target: of choosing the threshold, as in `verification`.
        seed: of dealing.

    Returns:
        `FoldsResult`: means over folds `accuracy`, `precision`, `recall`, `f1`, `far`, `frr`, `threshold`, and of the
        accuracy `accuracy_sd` (deviation between folds, with K − 1) and `accuracy_standard_error` (that over √K).
        The precision is NaN if in one fold no pair is accepted.

    Raises:
        ValueError: where a fold, or the others of a fold, have no pair of one kind.

    References:
        Huang et al., "Labeled Faces in the Wild", University of Massachusetts technical report 07-49, 2007, section 3.
    """
    checked_options((), far_target, strategy, OWNER)
    distances, same = as_pairs(distances, same, OWNER)
    fold = _fold_of(same, folds, seed)
    names = (*AT_THRESHOLD, "far", "frr", "threshold")
    per_fold = {name: [] for name in names}
    for k in range(fold.max() + 1):
        here = fold == k
        _check_kinds(same[here], f"Fold {k}")
        others = roc.from_distances(distances[~here & same], distances[~here & ~same])
        threshold = others.threshold(best_place(others, strategy, far_target, OWNER))
        judged = roc.from_distances(distances[here & same], distances[here & ~same])
        figures = {**judged.at(threshold), "threshold": threshold}
        for name in names:
            per_fold[name].append(figures[name])
    per_fold = {name: np.array(values) for name, values in per_fold.items()}
    values = {name: found.mean() for name, found in per_fold.items()}
    deviation = per_fold["accuracy"].std(ddof=1)
    values["accuracy_sd"] = deviation
    values["accuracy_standard_error"] = deviation / np.sqrt(len(per_fold["accuracy"]))
    return FoldsResult(values, per_fold)


def _fold_of(same, folds, seed):
    if isinstance(folds, (int, np.integer)) and not isinstance(folds, bool):
        folds = checks.whole(folds, "folds", OWNER, at_least=2)
        random = np.random.default_rng(seed)
        fold = np.empty(len(same), "int64")
        for kind in (same, ~same):
            fold[kind] = random.permutation(int(kind.sum())) % folds
        for kind, name in ((same, "same"), (~same, "different")):
            if kind.sum() < folds:
                checks.fail("folds", OWNER, f"not exceed the {kind.sum()} {name} pairs", folds)
        return fold
    (encoded,), _ = encode([folds], ["folds"], OWNER)
    if len(encoded) != len(same):
        raise ValueError(
            f"`folds` of {OWNER} must be a number, or one fold for each pair. "
            f"Received: {len(encoded)} for {len(same)} pairs."
        )
    if encoded.codes.max() == 0:
        checks.fail("folds", OWNER, "be at least two", "one")
    return encoded.codes


def _check_kinds(same, what):
    if same.all() or not same.any():
        raise ValueError(
            f"{what} of {OWNER} must have same and different pairs. Received: {int(same.sum())} same of {len(same)}."
        )
