"""Consistency of thresholds over classes."""

import warnings

import numpy as np

from keras_metric import checks
from keras_metric.distances import DISTANCES, Distance
from keras_metric.evaluation.labels import encode
from keras_metric.evaluation.pair_tiles import PairTiles
from keras_metric.evaluation.results import Figures
from keras_metric.evaluation.verification import as_labelled

OWNER = "opis"


class OpisResult(Figures):
    """Figures of `opis`.

    Attributes:
        per_class: label → mean squared deviation of the utility of the class from the mean utility.
        thresholds: (points,).
        utilities: label → (points,).
    """

    def __init__(self, values, per_class, thresholds, utilities):
        super().__init__(values)
        self.per_class = per_class
        self.thresholds = thresholds
        self.utilities = utilities


def opis(x, labels, distance: str | Distance = "cosine", far=(0.01, 0.1), points=101):
    """Operating-point-inconsistency score: how much one threshold means different things for different classes.

        U_c(t)  = 2 · sensitivity_c(t) · specificity_c(t) / (sensitivity_c(t) + specificity_c(t))
        OPIS    = mean over classes c and thresholds t of (U_c(t) − mean_c U_c(t))²

    Same pairs of a class are those within it, different pairs those with one end in it. Thresholds are evenly spaced
    between those at which the FAR over all pairs has the two values of `far`. 0: one threshold suits all classes alike.

    Args:
        x: embeddings (N, D).
        labels: class of each: integers of any size or text. Classes of one example have no same pair; they give no
            utility, and their pairs count for the others.
        distance: name or `Distance`.
        far: FAR at the least and at the greatest threshold, 0 < least < greatest <= 1.
        points: number of thresholds, >= 2.

    Returns:
        `OpisResult` with `opis`, `utility` (the mean over classes and thresholds), `least_threshold`,
        `greatest_threshold`. NaN, with a warning, where fewer than two classes have same pairs.

    References:
        Zhang et al., "Threshold-Consistent Margin Loss for Open-World Deep Metric Learning", ICLR 2024,
        arXiv:2307.04047, section 3.
    """
    low, high = _far_range(far)
    points = checks.whole(points, "points", OWNER, at_least=2)
    x, codes = as_labelled(x, labels, OWNER)
    _, vocabulary = encode([labels], ["labels"], OWNER)
    sizes = np.bincount(codes, minlength=len(vocabulary))
    judged = np.flatnonzero(sizes > 1)
    if len(judged) < 2:
        warnings.warn(f"{OWNER} needs two classes with two examples each: every figure is NaN.")
        names = ("opis", "utility", "least_threshold", "greatest_threshold")
        return OpisResult(dict.fromkeys(names, np.nan), {}, np.full(points, np.nan), {})
    tiles = PairTiles(x, codes, DISTANCES.get(distance))
    thresholds = np.linspace(*_at_far(tiles, low, high), points)
    same, different = _accepted(tiles, thresholds, len(vocabulary))
    sensitivity = same[judged] / (sizes * (sizes - 1) / 2)[judged, None]
    specificity = 1 - different[judged] / (sizes * (len(x) - sizes))[judged, None]
    total = sensitivity + specificity
    utility = 2 * sensitivity * specificity / np.where(total > 0, total, 1)
    deviation = (utility - utility.mean(axis=0)) ** 2
    names = [vocabulary[code] for code in judged]
    return OpisResult(
        {
            "opis": deviation.mean(),
            "utility": utility.mean(),
            "least_threshold": thresholds[0],
            "greatest_threshold": thresholds[-1],
        },
        dict(zip(names, deviation.mean(axis=1).tolist(), strict=True)),
        thresholds,
        dict(zip(names, utility, strict=True)),
    )


def _far_range(far):
    if not isinstance(far, (tuple, list)) or len(far) != 2:
        checks.fail("far", OWNER, "be two shares", far)
    low, high = (checks.number(one, "far", OWNER, above=0, at_most=1) for one in far)
    if low >= high:
        checks.fail("far", OWNER, "rise", far)
    return low, high


def _at_far(tiles, low, high):
    """The distances below which these shares of the different pairs lie."""
    if tiles.exact:
        return np.quantile(tiles.split()[1], [low, high])
    edges, _, different, _ = tiles.histograms()
    reached = np.cumsum(different) / different.sum()
    return edges[np.searchsorted(reached, [low, high])].astype("float64")


def _accepted(tiles, thresholds, classes):
    """How many same and different pairs of each class every threshold accepts, (classes, points) each."""
    points = len(thresholds)
    counts = np.zeros((2, classes, points + 1))

    def count(start, stop):
        tile, pairs, same, rows, columns = tiles.labelled_tile(start, stop)
        # Place of the first threshold that accepts the pair; the last place: none does.
        places = np.searchsorted(thresholds, tile.ravel(), side="left").reshape(tile.shape)
        width = points + 1
        by_row = np.where(pairs, rows[:, None] * width + places, classes * width)
        by_column = np.where(pairs & ~same, columns * width + places, classes * width)
        most = classes * width + 1
        within = np.bincount(by_row[same], minlength=most)
        apart = np.bincount(by_row[~same], minlength=most) + np.bincount(by_column.ravel(), minlength=most)  # fmt: skip
        return np.stack([within[:-1], apart[:-1]]).reshape(counts.shape)

    for part in tiles.each(count):
        counts += part
    return np.cumsum(counts[:, :, :-1], axis=2)
