"""The curve behind every figure of verification: what a threshold on distances accepts, for every threshold.

A pair is accepted as "same" if its distance <= threshold. With same pairs and different pairs,

    TAR  accepted same pairs / same pairs             (recall)
    FRR  1 - TAR
    FAR  accepted different pairs / different pairs
"""

import bisect

import numpy as np

STEP_BELOW = 2.4e-7  # twice the epsilon of float32, so that float32 too tells it from the distance


class RocCurve:
    """Points of the ROC curve in the order of their thresholds, the first of which accepts nothing.

    Points within a straight horizontal or vertical run of the curve are left out, but for the two around FAR = FRR;
    nothing depends on the others.

    Attributes:
        thresholds: (T,) rising float64, each a distance; one equal to the threshold is accepted.
        accepted_same, accepted_different: (T,) how many pairs (or what weight) each threshold accepts.
        same, different: how many there are.
        following: (T,) the next distance above each threshold, or None if not known.
        exact: whether every corner of the true curve is in it.
    """

    def __init__(
        self,
        thresholds,
        accepted_same,
        accepted_different,
        following=None,
        exact=True,
        distances=None,
    ):
        """`distances`: sorted, of the same and of the different pairs; with them `at` is exact between points too."""
        self.thresholds = np.asarray(thresholds, "float64")
        self.accepted_same = accepted_same
        self.accepted_different = accepted_different
        self.same = accepted_same[-1]
        self.different = accepted_different[-1]
        self.following = following
        self.exact = exact
        self._distances = distances

    @property
    def far(self):
        """Share of different pairs accepted, (T,)."""
        return self.accepted_different / self.different

    @property
    def tar(self):
        """Share of same pairs accepted, (T,)."""
        return self.accepted_same / self.same

    @property
    def frr(self):
        """Share of same pairs refused, (T,); with `far` the points of the DET curve."""
        return (self.same - self.accepted_same) / self.same

    def auc(self):
        """Probability that a same pair is closer than a different one, ties counting half; exact."""
        return _area(self.far, self.tar)

    def eer(self):
        """Where FAR = FRR, by straight lines between the points."""
        far, frr, after = self._around_eer()
        fall, rise = frr[0] - frr[1], far[1] - far[0]
        return float(far[0] + rise * (frr[0] - far[0]) / (fall + rise)) if after else float(far[1])

    def tar_at(self, target):
        """TAR at the last point with FAR not above the target."""
        return float(self.tar[self.last_within(target)])

    def last_within(self, target):
        """Place of the last point with FAR not above the target."""
        # Compared as counts, so that a target of 0.1 takes 1 pair of 10 whatever the division gives.
        allowed = target * self.different
        allowed += 1e-9 * max(allowed, 1e-6)
        return int(np.searchsorted(self.accepted_different, allowed, side="right")) - 1

    def at(self, threshold):
        """Figures of one threshold: accuracy, precision, recall, f1, far, frr.

        Precision is NaN where nothing is accepted. A curve of a histogram takes the last bin that ends below.
        """
        if self._distances is None:
            place = np.searchsorted(self.thresholds, threshold, side="right") - 1
            return self.at_place(max(int(place), 0))
        accepted = (np.searchsorted(part, threshold, side="right") for part in self._distances)
        return self._figures(*accepted)

    def at_place(self, place):
        """As `at`, for the point at that place of the curve."""
        return self._figures(self.accepted_same[place], self.accepted_different[place])

    def _figures(self, hits, false):
        hits, false = float(hits), float(false)
        missed, refused = self.same - hits, self.different - false
        accepted = hits + false
        return {
            "accuracy": float((hits + refused) / (self.same + self.different)),
            "precision": hits / accepted if accepted else float("nan"),
            "recall": float(hits / self.same),
            "f1": float(2 * hits / (2 * hits + false + missed)),
            "far": float(false / self.different),
            "frr": float(missed / self.same),
        }

    def threshold(self, place):
        """The threshold for use: in the middle between a distance that it accepts and the next, which it does not.

        So neither another order of summing nor float32 moves a pair over it. It is a number that the type of the
        distances can hold.
        """
        distance = self.thresholds[place]
        if self.following is None or place == 0:
            return float(distance)
        following = self.following[place]
        middle = following.dtype.type(distance + (float(following) - distance) / 2)
        return float(middle if distance <= middle < following else distance)

    def thinned(self, points=1000):
        """A curve of at most about so many points, for plots: evenly spread along FAR, log FAR and TAR."""
        if len(self.thresholds) <= points:
            return self
        share = points // 3
        least = 1.0 / max(float(self.different), 1.0)
        kept = [
            np.searchsorted(self.far, np.linspace(0, 1, share)),
            np.searchsorted(self.far, np.geomspace(least, 1, share)),
            np.searchsorted(self.tar, np.linspace(0, 1, share)),
            [0, len(self.thresholds) - 1],
        ]
        kept = np.unique(np.minimum(np.concatenate(kept).astype("int64"), len(self.thresholds) - 1))
        return RocCurve(
            self.thresholds[kept],
            self.accepted_same[kept],
            self.accepted_different[kept],
            None if self.following is None else self.following[kept],
            exact=False,
            distances=self._distances,
        )

    def errors(self, far_targets=()):
        """How far the figures can be from those of the distances themselves, for a curve of a histogram.

        Returns:
            dict with `auc`, `eer` and `tar@far=…`; 0 each for an exact curve. Points of the curve are true points, so
            figures at a threshold have no error; the area between two of them is known up to their rectangle.
        """
        names = [tar_name(target) for target in far_targets]
        if self.exact:
            return dict.fromkeys(["auc", "eer", *names], 0.0)
        far, frr, after = self._around_eer()
        low, high = max(far[0], frr[1]), min(far[1], frr[0])
        eer = self.eer()
        errors = {
            "auc": float(0.5 * np.sum(np.diff(self.far) * np.diff(self.tar))),
            "eer": float(max(eer - low, high - eer, 0.0)) if after else 0.0,
        }
        for name, target in zip(names, far_targets, strict=True):
            place = self.last_within(target)
            following = min(place + 1, len(self.thresholds) - 1)
            errors[name] = float(self.tar[following] - self.tar[place])
        return errors

    def _around_eer(self):
        """FAR and FRR of the two points around their crossing, and whether there is one before it."""
        # Both are compared as products of counts; FAR - FRR rises from -1 to 1.
        crossing = self.accepted_different * float(self.same) >= (
            self.same - self.accepted_same
        ) * float(self.different)
        second = int(np.argmax(crossing))
        pair = [max(second - 1, 0), second]
        return self.far[pair], self.frr[pair], second > 0


def tar_name(target):
    """`tar@far=0.01`."""
    return f"tar@far={target:g}"


def from_distances(same, different):
    """Exact curve of the distances of same pairs and of different pairs, at least one each."""
    same, different = np.sort(same), np.sort(different)
    few, many = (same, different) if len(same) <= len(different) else (different, same)
    corners = _unique_sorted(few)
    before = np.searchsorted(many, corners, side="left") - 1
    around = _around_crossing(many, same, different)
    thresholds = np.unique(
        np.concatenate([corners, many[np.unique(before[before >= 0])], around, many[-1:]])
    )
    accepted = [
        np.concatenate([[0], np.searchsorted(part, thresholds, side="right")])
        for part in (same, different)
    ]
    last = thresholds[-1]
    following = np.minimum(
        *(
            np.append(part, last)[count]
            for part, count in zip((same, different), accepted, strict=True)
        )
    )
    # Below every distance: the first corner need not be the least of them.
    thresholds = np.concatenate([[below(min(same[0], different[0]))], thresholds])
    return RocCurve(thresholds, *accepted, following, distances=(same, different))


def from_histograms(edges, same, different, least, exact=False):
    """Curve of counts in bins; `edges` (bins,) are the largest distances that fall into each, `least` is below all."""
    filled = np.flatnonzero((same > 0) | (different > 0))
    edges = np.asarray(edges, "float64")
    nothing = edges[filled[0] - 1] if filled[0] else below(least)
    edges = edges[filled]
    return RocCurve(
        np.concatenate([[nothing], edges]),
        np.concatenate([[0], np.cumsum(same[filled])]),
        np.concatenate([[0], np.cumsum(different[filled])]),
        exact=exact,
    )


def below(distance):
    """A threshold just below a distance, in float32 as well."""
    distance = float(distance)
    return distance - STEP_BELOW * max(abs(distance), 1.0)


def _around_crossing(values, same, different):
    """Of sorted distances, the first where FAR >= FRR and the one before it, if there is one."""

    def excess(threshold):
        accepted = (np.searchsorted(part, threshold, side="right") for part in (different, same))
        return sum(n / len(part) for n, part in zip(accepted, (different, same), strict=True)) - 1

    first = min(bisect.bisect_left(values, 0.0, key=excess), len(values) - 1)
    before = np.searchsorted(values, values[first], side="left") - 1
    return values[[max(before, 0), first]]


def _unique_sorted(values):
    return values[np.concatenate([[True], values[1:] != values[:-1]])]


def _area(x, y):
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2)
