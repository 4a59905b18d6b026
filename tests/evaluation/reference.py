"""Retrieval evaluation written out in loops: every distance by its formula, every ranking a full sort, in float64."""

import math

import numpy as np


def between(name, x, y):
    """A distance of two rows, by the formula of the book."""
    x, y = [float(v) for v in x], [float(v) for v in y]
    product = math.fsum(a * b for a, b in zip(x, y, strict=True))
    lengths = math.sqrt(math.fsum(a * a for a in x)) * math.sqrt(math.fsum(b * b for b in y))
    cosine = max(-1.0, min(1.0, product / lengths)) if lengths else 0.0
    gaps = [abs(a - b) for a, b in zip(x, y, strict=True)]
    square = math.fsum(g * g for g in gaps)
    if name == "snr":
        return float(np.var(np.subtract(x, y)) / np.var(x))
    if name == "hamming":
        return float(np.mean(np.sign(x) != np.sign(y)))
    if name == "poincare":
        inside = (1 - sum(a * a for a in x)) * (1 - sum(b * b for b in y))
        return math.acosh(1 + 2 * square / inside)
    return {
        "cosine": 1 - cosine,
        "inner_product": -product,
        "euclidean": math.sqrt(square),
        "squared_euclidean": square,
        "angular": math.acos(cosine),
        "manhattan": math.fsum(gaps),
        "chebyshev": max(gaps),
        "minkowski": math.fsum(g**3 for g in gaps) ** (1 / 3),
    }[name]


def ranking(distances, left_out, grades, ties="order"):
    """Gallery items nearest first.

    Args:
        distances: to every gallery item.
        left_out: set of gallery items that do not count.
        grades: of every gallery item; above 0 is relevant.
        ties: what comes first of items at the same distance.
    """
    kept = [j for j in range(len(distances)) if j not in left_out]
    first = {
        "order": lambda j: 0,
        "optimistic": lambda j: grades[j] == 0,
        "pessimistic": lambda j: grades[j] > 0,
    }
    return sorted(kept, key=lambda j: (distances[j], first[ties](j), j))


def metric(name, grades):
    """A metric from the grades by rank of all items that count; None without a relevant one."""
    relevant = [int(grade > 0) for grade in grades]
    total = sum(relevant)
    if not total:
        return None
    if name == "r_precision":
        return sum(relevant[:total]) / total
    if name == "mrr":
        return 1 / (1 + relevant.index(1))
    family, k = name.split("@")
    k = total if k == "r" else int(k)
    shown = relevant[:k]
    if family == "hit":
        return float(any(shown))
    if family == "recall":
        return sum(shown) / total
    if family == "precision":
        return sum(shown) / k
    if family == "mrr":
        return 1 / (1 + shown.index(1)) if any(shown) else 0.0
    if family == "map":
        return sum(sum(relevant[: i + 1]) / (i + 1) for i in range(len(shown)) if shown[i]) / min(k, total)  # fmt: skip
    assert family == "ndcg"
    gain = sum(grade / math.log2(i + 2) for i, grade in enumerate(grades[:k]))
    best = sorted(grades, reverse=True)[:k]
    return gain / sum(grade / math.log2(i + 2) for i, grade in enumerate(best))


def retrieval(
    queries, labels, gallery=None, gallery_labels=None, metrics=("hit@1",), distance="cosine",
    groups=None, gallery_groups=None, ties="order", match=lambda a, b: a == b, grade=None,
):  # fmt: skip
    """Name → list of a number for each query, None where it has no relevant item.

    Args:
        match: whether two labels are of one class; a number above 0 as well.
        grade: function of query row and gallery row, in place of labels.
    """
    itself = gallery is None
    if itself:
        gallery, gallery_labels, gallery_groups = queries, labels, groups
    found = {name: [] for name in metrics}
    for i, x in enumerate(queries):
        distances = [between(distance, x, y) for y in gallery]
        left_out = {i} if itself else set()
        if groups is not None:
            left_out |= {j for j in range(len(gallery)) if gallery_groups[j] == groups[i]}
        rows = range(len(gallery))
        grades = [grade(i, j) if grade else int(match(labels[i], gallery_labels[j])) for j in rows]
        order = ranking(distances, left_out, grades, ties)
        for name in metrics:
            found[name].append(metric(name, [grades[j] for j in order]))
    return found


def mean(values):
    """Mean of the numbers, NaN of none."""
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else float("nan")


def macro(values, labels):
    """Mean over classes of the mean over their queries."""
    means = []
    for label in set(labels):
        own = mean([v for v, one in zip(values, labels, strict=True) if one == label])
        if not math.isnan(own):
            means.append(own)
    return mean(means)
