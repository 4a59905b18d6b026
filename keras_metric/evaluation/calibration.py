"""From distances to decisions and probabilities."""

import warnings

import numpy as np

from keras_metric import checks
from keras_metric.evaluation import roc
from keras_metric.evaluation.thresholds import best_place
from keras_metric.evaluation.verification import as_pairs, checked_options
from keras_metric.extras import require

METHODS = ("platt", "isotonic")


def calibrate_threshold(distances, same, strategy="accuracy", far_target=0.001):
    """The threshold that a strategy chooses, for `index.match` and `export.saved_model`.

    Args:
        distances, same, strategy, far_target: as in `verification`. Use pairs that the model was not trained on.

    Returns:
        A float; pairs with distance <= threshold count as same.

    Raises:
        ValueError: without same or without different pairs, besides what `verification` refuses.
    """
    owner = "calibrate_threshold"
    checked_options((), far_target, strategy, owner)
    distances, same = _both_kinds(distances, same, owner)
    curve = roc.from_distances(distances[same], distances[~same])
    return curve.threshold(best_place(curve, strategy, far_target, owner))


def calibrate_probability(distances, same, method="platt", same_share=None):
    """Learns the probability that a pair is the same from its distance, with scikit-learn (extra `evaluation`).

        probability = calibrate_probability(distances, same)
        probability(new_distances)            # in [0, 1], falls with the distance

    Args:
        distances, same: as in `verification`. Use pairs that the model was not trained on.
        method: `"platt"`: 1 / (1 + exp(scale · d − bias)), two numbers, for few pairs. `"isotonic"`: any falling curve,
            for thousands of pairs.
        same_share: share of same pairs where the probability will be used; None: as among these pairs. Of all pairs of
            a set few are the same, so that the probability of most is small.

    Returns:
        `ProbabilityCalibration`.

    Raises:
        ValueError: without same or without different pairs, besides what `verification` refuses.
        ImportError: without scikit-learn.

    References:
        Platt, "Probabilistic Outputs for Support Vector Machines", 1999 (with its targets, which keep the curve finite
        where distances part the kinds); Zadrozny and Elkan, KDD 2002 (isotonic).
    """
    owner = "calibrate_probability"
    checks.choice(method, "method", owner, METHODS)
    distances, same = _both_kinds(distances, same, owner)
    distances = distances.astype("float64")
    weights = np.ones(len(same))
    if same_share is not None:
        share = checks.number(same_share, "same_share", owner, above=0, below=1)
        weights = np.where(same, share / same.mean(), (1 - share) / (1 - same.mean()))
    if method == "platt":
        return _platt(distances, same, weights, owner)
    regression = require("sklearn.isotonic", "evaluation").IsotonicRegression(
        y_min=0.0, y_max=1.0, increasing=False
    )
    regression.fit(distances, same.astype("float64"), weights)
    return ProbabilityCalibration(
        method, knots=(regression.X_thresholds_, regression.y_thresholds_)
    )


class ProbabilityCalibration:
    """Probability of "same" by distance; call it with distances of any shape.

    Attributes:
        method: `"platt"` or `"isotonic"`.
        scale, bias: of Platt's curve, else None.
        knots: distances and probabilities between which the isotonic curve is straight, else None.
    """

    def __init__(self, method, scale=None, bias=None, knots=None):
        self.method, self.scale, self.bias, self.knots = method, scale, bias, knots

    def __call__(self, distances):
        """Probabilities, float64, of the shape of the distances."""
        distances = np.asarray(distances, "float64")
        if not np.isfinite(distances).all():
            raise ValueError("`distances` of ProbabilityCalibration must be finite.")
        if self.knots is not None:
            return np.interp(distances, *self.knots)
        return 0.5 * (1.0 + np.tanh(0.5 * (self.bias - self.scale * distances)))

    def __repr__(self):
        if self.knots is not None:
            return f"ProbabilityCalibration(isotonic, {len(self.knots[0])} knots)"
        return f"ProbabilityCalibration(platt, scale={self.scale:.4g}, bias={self.bias:.4g})"


def _platt(distances, same, weights, owner):
    # Platt's targets (n₊+1)/(n₊+2) and 1/(n₋+2), as each pair standing once as same and once as different.
    targets = np.where(same, (same.sum() + 1) / (same.sum() + 2), 1 / ((~same).sum() + 2))
    middle, width = distances.mean(), distances.std() or 1.0
    units = ((distances - middle) / width)[:, None]
    regression = require("sklearn.linear_model", "evaluation").LogisticRegression(C=1e10, tol=1e-8)
    regression.fit(
        np.concatenate([units, units]),
        np.repeat([1, 0], len(units)),
        np.concatenate([targets * weights, (1 - targets) * weights]),
    )
    slope, start = float(regression.coef_[0, 0]), float(regression.intercept_[0])
    if slope > 0:
        warnings.warn(
            f"{owner} found same pairs farther apart than different ones: the probability rises."
        )
    return ProbabilityCalibration(
        "platt", scale=-slope / width, bias=start - slope * middle / width
    )


def _both_kinds(distances, same, owner):
    distances, same = as_pairs(distances, same, owner)
    if same.all() or not same.any():
        raise ValueError(
            f"{owner} needs same and different pairs. Received: {int(same.sum())} same of {len(same)} pairs."
        )
    return distances, same
