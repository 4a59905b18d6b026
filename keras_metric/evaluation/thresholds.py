"""Choosing the threshold of a verification curve."""

import re

import numpy as np

from keras_metric import checks

STRATEGIES = ("accuracy", "f1", "far", "eer")


def parse_strategy(strategy, owner):
    """`(kind, beta)`: one of "accuracy", "f", "far", "eer"; beta for "f1", "f2", "f0.5", …"""
    if strategy in ("accuracy", "far", "eer"):
        return strategy, None
    found = re.fullmatch(r"f(\d+(?:\.\d+)?)", strategy) if isinstance(strategy, str) else None
    if not found or float(found[1]) == 0:
        rule = f"be one of {list(STRATEGIES)}, or F-beta as 'f2' or 'f0.5'"
        checks.fail("strategy", owner, rule, strategy)
    return "f", float(found[1])


def best_place(curve, strategy, far_target, owner="verification"):
    """Place on the curve of the threshold that a strategy chooses; of equals, the one that accepts least.

    Args:
        curve: a `RocCurve`.
        strategy: `"accuracy"`: most pairs told right. `"f1"` (or `"f2"`, `"f0.5"`, … for F-beta): best F-score.
            `"far"`: the most same pairs accepted with FAR not above `far_target`. `"eer"`: FAR and FRR closest.
        far_target: share of different pairs.
        owner: who asks, for error messages.
    """
    kind, beta = parse_strategy(strategy, owner)
    if kind == "accuracy":
        return int(np.argmax(curve.accepted_same + (curve.different - curve.accepted_different)))
    if kind == "f":
        missed = curve.same - curve.accepted_same
        weighted = (1 + beta**2) * curve.accepted_same
        return int(np.argmax(weighted / (weighted + beta**2 * missed + curve.accepted_different)))
    if kind == "eer":
        return int(np.argmin(np.abs(curve.far - curve.frr)))
    last = curve.last_within(far_target)
    return int(np.searchsorted(curve.accepted_same, curve.accepted_same[last], side="left"))
