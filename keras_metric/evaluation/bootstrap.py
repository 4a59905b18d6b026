"""Confidence intervals by drawing whole identities again, since pairs and queries of one identity hang together."""

import warnings
from typing import NamedTuple

import numpy as np

from keras_metric import checks
from keras_metric.distances import DISTANCES, Distance
from keras_metric.evaluation import roc
from keras_metric.evaluation.labels import encode
from keras_metric.evaluation.neighbors import between
from keras_metric.evaluation.pair_tiles import PairTiles
from keras_metric.evaluation.thresholds import best_place
from keras_metric.evaluation.verification import (
    AT_THRESHOLD,
    as_labelled,
    as_pairs,
    checked_options,
    verification_from_embeddings,
)

MOST_PAIRS = 2**19  # of either kind; beyond, as many are drawn
POINTS = 1024  # of a curve, along each of FAR, log FAR and TAR


class Interval(NamedTuple):
    """Bounds of a confidence interval."""

    low: float
    high: float


def bootstrap_retrieval(result, labels, level=0.95, replicates=1000, average="micro", seed=0):
    """Confidence intervals of the figures of `retrieval`, over the classes that the queries are of.

        result = retrieval(x, labels)
        bootstrap_retrieval(result, labels)["map@r"].low

    Whole classes are drawn with replacement, with all their queries: how much the figure would change with other
    classes of the same kind. The gallery stays as it is.

    Args:
        result: a `RetrievalResult`, or a mapping name → (Q,) values with NaN at queries that do not count.
        labels: class of each query, or another identity that queries hang together by (a person, a session).
        level: share of the replicates within the interval, between 0 and 1.
        replicates: number of draws.
        average: `"micro"` or `"macro"`, as in `retrieval`.
        seed: of the draws.

    Returns:
        dict name → `Interval`; NaN for a figure without a query that counts.
    """
    owner = "bootstrap_retrieval"
    level, replicates = _options(level, replicates, owner)
    checks.choice(average, "average", owner, ("micro", "macro"))
    (encoded,), vocabulary = encode([labels], ["labels"], owner)
    if encoded.several:
        checks.fail("labels", owner, "hold one class a row", "several classes a row")
    _warn_of_few(len(vocabulary), owner)
    draws = _draws(len(vocabulary), replicates, seed)
    found = {}
    for name, values in getattr(result, "per_query", result).items():
        if len(values) != len(encoded):
            raise ValueError(
                f"`labels` of {owner} must have one label a query. Received: {len(encoded)} for {len(values)} queries."
            )
        kept = np.isfinite(values)
        codes, size = encoded.codes[kept], len(vocabulary)
        sums = np.bincount(codes, weights=np.asarray(values)[kept], minlength=size)
        counts = np.bincount(codes, minlength=size).astype("float64")
        if average == "macro":
            sums, counts = sums / np.maximum(counts, 1), (counts > 0).astype("float64")
        with np.errstate(invalid="ignore"):  # a draw without any query that counts
            found[name] = _interval((draws @ sums) / (draws @ counts), level)
    return found


def bootstrap_verification(
    x, labels, distance: str | Distance = "cosine", far=(0.1, 0.01, 0.001), far_target=0.001, strategy="accuracy",
    level=0.95, replicates=500, seed=0, threshold=None,
):  # fmt: skip
    """Confidence intervals of the figures of `verification_from_embeddings`, over identities.

    Whole identities are drawn with replacement; an identity drawn twice gives its same pairs twice, and no pair with
    itself (the different pairs weigh that much more, so that their share stays). Up to 524,288 pairs of either kind
    take part; of more, as many drawn at random, but of the different pairs all that are closest, on which precision and
    TAR at a low FAR depend. The threshold stays as it is. With few identities (below 20 or so) such intervals are too
    narrow.

    Args:
        x: embeddings (N, D).
        labels: identity of each row.
        distance, far, far_target, strategy: as in `verification_from_embeddings`.
        level: share of the replicates within the interval, between 0 and 1.
        replicates: number of draws.
        seed: of the draws.
        threshold: of accuracy, precision, recall and F1; None: that of `verification_from_embeddings`. Passing its
            `result["threshold"]` saves the time of finding it again.

    Returns:
        dict name → `Interval`, for every figure but `threshold`.

    References:
        Fogliato, Patil and Perona, "Confidence Intervals for Error Rates in 1:1 Matching Tasks", IJCV 2024,
        arXiv:2306.01198 (the vertex bootstrap).
    """
    owner = "bootstrap_verification"
    targets = checked_options(far, far_target, strategy, owner)
    level, replicates = _options(level, replicates, owner)
    if threshold is not None:
        threshold = checks.number(threshold, "threshold", owner)
    x, codes = as_labelled(x, labels, owner)
    distance = DISTANCES.get(distance)
    random = np.random.default_rng(seed)
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    row = np.arange(len(codes))
    end = np.searchsorted(ordered, ordered, side="right")
    # Sorted by class, a row makes same pairs with the rest of its class and different pairs with all after it.
    kinds = (row + 1, end - row - 1), (end, len(codes) - end)
    totals = [int(count.sum()) for _, count in kinds]
    some = [_Some.of(x, order, *kind, distance, random) for kind in kinds]
    if totals[1] > MOST_PAIRS and totals[0]:
        some[1] = some[1].with_all_closest(x, codes, distance)
    if max(totals) > MOST_PAIRS and min(totals) and threshold is None:
        judged = verification_from_embeddings(x, codes, distance, far, far_target, strategy)
        threshold = judged["threshold"]
    both = _Some(*(np.concatenate(parts) for parts in zip(*some, strict=True)))
    same = np.repeat([True, False], [len(one.left) for one in some])
    pairs = _Pairs(
        both.distances, same, codes[both.left], codes[both.right], int(codes.max()) + 1, both.each
    )
    return pairs.intervals(
        targets, far_target, strategy, level, replicates, random, owner, threshold
    )


def bootstrap_pairs(
    distances, same, identities=None, far=(0.1, 0.01, 0.001), far_target=0.001,
    strategy="accuracy", level=0.95, replicates=500, seed=0,
):  # fmt: skip
    """Confidence intervals of the figures of `verification` for given pairs.

    Args:
        distances, same, far, far_target, strategy: as in `verification`.
        identities: ids of the two sides of each pair, (N, 2) or two sequences of N; whole identities are then drawn, as
            in `bootstrap_verification`. None: pairs are drawn one by one, which is right only if no two pairs share an
            identity, and gives intervals that are too narrow otherwise.
        level, replicates, seed: as in `bootstrap_verification`.

    Returns:
        dict name → `Interval`, for every figure but `threshold`.
    """
    owner = "bootstrap_pairs"
    targets = checked_options(far, far_target, strategy, owner)
    level, replicates = _options(level, replicates, owner)
    distances, same = as_pairs(distances, same, owner)
    random = np.random.default_rng(seed)
    if identities is None:
        each = np.arange(len(same))
        pairs = _Pairs(distances, same, each, each, len(same))
    else:
        left, right, count = _sides(identities, len(same), owner)
        pairs = _Pairs(distances, same, left, right, count)
    return pairs.intervals(targets, far_target, strategy, level, replicates, random, owner)


class _Some(NamedTuple):
    """Pairs of rows of one kind: left and right row (M,), distance (M,), and how many pairs each stands for (M,)."""

    left: np.ndarray
    right: np.ndarray
    distances: np.ndarray
    each: np.ndarray

    @classmethod
    def of(cls, x, order, first, count, distance, random):
        """All pairs of a kind, or as many drawn as may take part; see `_some_pairs`."""
        pairs = [order[side] for side in _some_pairs(first, count, random)]
        left, right = np.sort(pairs, axis=0)  # from the earlier row
        each = np.full(len(left), count.sum() / max(len(left), 1))
        return cls(left, right, between(x, left, right, distance), each)

    def with_all_closest(self, x, codes, distance):
        """A sample of different pairs, with half of them replaced by as many that are closest, each for itself."""
        total = self.each.sum()
        place = int(len(self.distances) * min(MOST_PAIRS / 2 / total, 1))
        bound = np.partition(self.distances, place)[place]
        tiles = PairTiles(x, codes, distance)
        left, right = (np.concatenate(side) for side in zip(*tiles.different_below(bound), strict=True))  # fmt: skip
        others = np.flatnonzero(self.distances >= bound)[: MOST_PAIRS // 2]
        rest = np.full(len(others), (total - len(left)) / max(len(others), 1))
        return _Some(
            np.concatenate([left, self.left[others]]),
            np.concatenate([right, self.right[others]]),
            np.concatenate([between(x, left, right, distance), self.distances[others]]),
            np.concatenate([np.ones(len(left)), rest]),
        )


class _Pairs:
    """Pairs of two identities each, or within one, whose weights change with every draw.

    `each`: how many pairs of the set each pair stands for, (N,).
    """

    def __init__(self, distances, same, left, right, identities, each=1.0):
        self.distances, self.same, self.identities = distances, same, identities
        self.left, self.right = left.astype("int32"), right.astype("int32")
        self.within = np.flatnonzero(left == right)
        # Of C identities drawn, two different ones come together 1 − 1/C times on average.
        together = np.where(left == right, 1.0, 1 - 1 / max(identities, 2))
        self.each = (each / together).astype("float32")

    def intervals(
        self, targets, far_target, strategy, level, replicates, random, owner, threshold=None
    ):
        names = ["auc", "eer", *map(roc.tar_name, targets), *AT_THRESHOLD]
        if self.same.all() or not self.same.any():
            warnings.warn(f"{owner} needs same and different pairs: every interval is NaN.")
            return dict.fromkeys(names, Interval(np.nan, np.nan))
        _warn_of_few(self.identities, owner)
        curve = roc.from_distances(self.distances[self.same], self.distances[~self.same])
        if threshold is None:
            threshold = curve.threshold(best_place(curve, strategy, far_target, owner))
        edges = np.unique(np.append(curve.thinned(3 * POINTS).thresholds[1:], threshold))
        bins = np.minimum(np.searchsorted(edges, self.distances), len(edges) - 1)
        same_bins, different_bins = bins[self.same], bins[~self.same]
        found = {name: np.full(replicates, np.nan) for name in names}
        for i in range(replicates):
            weights = self._weights(random)
            curve = _weighted_curve(
                edges,
                np.bincount(same_bins, weights[self.same], len(edges)),
                np.bincount(different_bins, weights[~self.same], len(edges)),
            )
            if curve is None:
                continue  # the draw has pairs of one kind only
            figures = {
                "auc": curve.auc(),
                "eer": curve.eer(),
                **{roc.tar_name(target): curve.tar_at(target) for target in targets},
                **curve.at(threshold),
            }
            for name in names:
                found[name][i] = figures[name]
        return {name: _interval(values, level) for name, values in found.items()}

    def _weights(self, random):
        drawn = random.integers(self.identities, size=self.identities)
        times = np.bincount(drawn, minlength=self.identities).astype("float32")
        weights = times[self.left]
        within = weights[self.within]
        weights *= times[self.right]
        weights[self.within] = within
        return weights * self.each


def _weighted_curve(edges, same, different):
    accepted_same, accepted_different = (
        np.concatenate([[0.0], np.cumsum(part)]) for part in (same, different)
    )
    if not (accepted_same[-1] and accepted_different[-1]):
        return None
    return roc.RocCurve(
        np.concatenate([[roc.below(edges[0])], edges]), accepted_same, accepted_different
    )


def _some_pairs(first, count, random):
    """Places `(left, right)` of pairs: left with `count[left]` partners from `first[left]` on; all, or MOST_PAIRS."""
    until = np.cumsum(count)
    total = int(until[-1])
    number = random.integers(total, size=MOST_PAIRS) if total > MOST_PAIRS else np.arange(total)
    left = np.searchsorted(until, number, side="right")
    return left, first[left] + number - (until[left] - count[left])


def _sides(identities, rows, owner):
    if isinstance(identities, np.ndarray) and identities.ndim == 2:
        identities = list(identities.T)
    elif len(identities) == rows > 2 and all(np.shape(one) == (2,) for one in identities):
        identities = list(zip(*identities, strict=True))
    if len(identities) != 2:
        checks.fail(
            "identities", owner, "be (N, 2) or two sequences of N", f"{len(identities)} sequences"
        )
    (left, right), vocabulary = encode(identities, ["identities"] * 2, owner)
    if len(left) != rows or len(right) != rows:
        raise ValueError(
            f"`identities` of {owner} must be two for each pair. "
            f"Received: {len(left)} and {len(right)} for {rows} pairs."
        )
    return left.codes, right.codes, len(vocabulary)


def _draws(identities, replicates, seed):
    random = np.random.default_rng(seed)
    shares = np.full(identities, 1 / identities)
    return random.multinomial(identities, shares, size=replicates).astype("float64")


def _interval(values, level):
    values = values[np.isfinite(values)]
    if not len(values):
        return Interval(np.nan, np.nan)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _options(level, replicates, owner):
    level = checks.number(level, "level", owner, above=0, below=1)
    return level, checks.whole(replicates, "replicates", owner)


def _warn_of_few(identities, owner):
    if identities < 5:
        warnings.warn(
            f"{owner} found {identities} identities to draw from: its intervals are too narrow."
        )
