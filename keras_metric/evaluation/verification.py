"""Verification: is a pair of the same class? Exact figures over given pairs, or over all pairs of a set."""

import warnings

import numpy as np
from keras import ops

from keras_metric import checks
from keras_metric.distances import DISTANCES, Distance
from keras_metric.evaluation import roc, rows
from keras_metric.evaluation.labels import encode
from keras_metric.evaluation.pair_tiles import PairTiles
from keras_metric.evaluation.results import VerificationResult
from keras_metric.evaluation.thresholds import best_place, parse_strategy

OWNER = "verification"
AT_THRESHOLD = ("accuracy", "precision", "recall", "f1")


def verification(distances, same, far=(0.1, 0.01, 0.001), far_target=0.001, strategy="accuracy"):
    """How well distances tell same from different pairs; a pair is "same" if its distance <= threshold. Exact.

        result = verification(distances, same)
        result["eer"], result["tar@far=0.01"], result["threshold"], result.curve.far

    * `auc`: probability that a same pair is closer than a different one; ties count half.
    * `eer`: where FAR = FRR, by straight lines between the points of the curve.
    * `tar@far=…`: share of same pairs accepted at the last point of the curve with FAR not above the target.
    * `threshold`, chosen by `strategy`, and the `accuracy`, `precision`, `recall` and `f1` of exactly this threshold.
      Precision is NaN where it accepts no pair.

    Choose the threshold on pairs that are not those whose figures you report: `verification_folds` does so.

    Args:
        distances: (N,) or (N, 1), small = close; integers or floats, finite.
        same: (N,) or (N, 1) of 1 (same) and 0 (different), or booleans.
        far: FAR targets in [0, 1] for `tar@far=…`.
        far_target: FAR target of `strategy="far"`.
        strategy: `"accuracy"`: most pairs told right. `"f1"` (or `"f2"`, `"f0.5"`, … for F-beta): best F-score.
            `"far"`: most same pairs accepted with FAR not above `far_target`. `"eer"`: FAR and FRR closest.
            Of equals the one that accepts least; it lies in the middle between two distances.

    Returns:
        `VerificationResult`: a mapping name → float, with `curve` (a `RocCurve`: ROC and DET points), `pairs` (how
        many same and different ones) and `errors` (0 here). With same pairs only, or different pairs only, every
        figure is NaN, with a warning, and `curve` is None.

    Raises:
        ValueError: for different lengths, distances that are not finite, `same` other than 0 and 1.
    """
    targets = checked_options(far, far_target, strategy, OWNER)
    distances, same = as_pairs(distances, same, OWNER)
    curve = None
    if same.any() and not same.all():
        curve = roc.from_distances(distances[same], distances[~same])
    pairs = (int(same.sum()), int((~same).sum()))
    return _judged(curve, pairs, targets, far_target, strategy, OWNER)


def verification_from_embeddings(
    x,
    labels,
    distance: str | Distance = "cosine",
    far=(0.1, 0.01, 0.001),
    far_target=0.001,
    strategy="accuracy",
):
    """`verification` over all pairs i < j of a set, which are same if their labels are equal.

    The pairs are never all in memory. Up to 2^23 pairs (4,096 rows) the figures are exact, of distances in float64
    (on JAX, which has none unless told to, distances other than the fast ones below are in float32). Beyond, distances
    are counted in 2^20 bins: every point of the curve is still a true point of it, so accuracy, precision, recall and
    f1 are those of the threshold returned, while `auc`, `eer` and `tar@far=…` are known up to the bounds in
    `result.errors` (usually below 1e-6); beside them stands the rounding of the distances in float32.
    10^10 pairs (141,000 rows) take a few minutes.

    Args:
        x: embeddings (N, D).
        labels: class of each: integers of any size or text, (N,) or (N, 1).
        distance: name or `Distance`. Cosine, angular, Euclidean and inner-product distances are fast; one that is not
            symmetric (`"snr"`) is taken from row i to row j.
        far, far_target, strategy: as in `verification`.

    Returns:
        As `verification`; with one class only, or with all labels different, NaN and a warning.

    Raises:
        ValueError: for different lengths, values that are not finite, labels of several classes a row.
    """
    owner = "verification_from_embeddings"
    targets = checked_options(far, far_target, strategy, owner)
    tiles = PairTiles(*as_labelled(x, labels, owner), DISTANCES.get(distance))
    pairs = tiles.counts()
    curve = None
    if all(pairs):
        if tiles.exact:
            curve = roc.from_distances(*tiles.split())
        else:
            curve = roc.from_histograms(*tiles.histograms(), exact=tiles.measure.discrete)
    return _judged(curve, pairs, targets, far_target, strategy, owner)


def as_pairs(distances, same, owner):
    """Finite distances (N,) and booleans (N,)."""
    distances = _vector(distances, "distances", owner)
    if distances.dtype not in ("float32", "float64"):
        kind = distances.dtype.kind
        if kind not in "iubfV":
            checks.fail("distances", owner, "be numbers", str(distances.dtype))
        distances = distances.astype("float64" if kind in "iub" else "float32")
    rows.check_finite(distances, "distances", owner)
    same = _vector(same, "same", owner)
    rows.same_length(distances, "distances", same, "same", owner)
    if same.dtype != bool:
        wrong = same[(same != 0) & (same != 1)]
        if len(wrong):
            checks.fail("same", owner, "be 1 for same and 0 for different pairs", wrong[0].item())
        same = same == 1
    return distances, same


def as_labelled(x, labels, owner):
    """Embeddings (N, D) and the codes (N,) of their classes."""
    x = rows.as_matrix(x, "x", owner)
    (encoded,), _ = encode([labels], ["labels"], owner)
    rows.same_length(x, "x", encoded, "labels", owner)
    if encoded.several:
        checks.fail("labels", owner, "hold one class a row", "several classes a row")
    return x, encoded.codes


def checked_options(far, far_target, strategy, owner):
    """The FAR targets as a tuple of floats."""
    parse_strategy(strategy, owner)
    checks.number(far_target, "far_target", owner, at_least=0, at_most=1)
    several = tuple(far) if isinstance(far, (list, tuple, np.ndarray)) else (far,)
    return tuple(checks.number(one, "far", owner, at_least=0, at_most=1) for one in several)


def figures_of(curve, targets, far_target, strategy, owner):
    """All figures of a curve, by name."""
    place = best_place(curve, strategy, far_target, owner)
    at_threshold = curve.at_place(place)
    return {
        "auc": curve.auc(),
        "eer": curve.eer(),
        **{roc.tar_name(target): curve.tar_at(target) for target in targets},
        **{name: at_threshold[name] for name in AT_THRESHOLD},
        "threshold": curve.threshold(place),
    }


def _judged(curve, pairs, targets, far_target, strategy, owner):
    if curve is not None:
        values = figures_of(curve, targets, far_target, strategy, owner)
        return VerificationResult(values, curve, pairs, curve.errors(targets))
    warnings.warn(
        f"{owner} needs same and different pairs. Received: {pairs[0]} same and {pairs[1]} different. "
        "Every figure is NaN."
    )
    names = ["auc", "eer", *map(roc.tar_name, targets), *AT_THRESHOLD, "threshold"]
    return VerificationResult(dict.fromkeys(names, float("nan")), None, pairs, {})


def _vector(values, name, owner):
    if not isinstance(values, np.ndarray):
        values = np.asarray(values) if isinstance(values, (list, tuple)) else ops.convert_to_numpy(values)  # fmt: skip
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or not len(values):
        raise ValueError(
            f"`{name}` of {owner} must have the shape (pairs,) or (pairs, 1), with at least one pair. "
            f"Received: shape {values.shape}."
        )
    return values
