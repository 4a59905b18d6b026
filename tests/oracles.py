"""Slow references of the losses: the formulas as loops over anchors, positives and negatives, in float64 NumPy.

Every function takes embeddings `x` (references, dimensions), their `labels`, and optionally which rows are `anchors`
(all). It returns the mean that the loss states, 0 where nothing counts.
"""

import numpy as np


def unit(x):
    """Rows of length 1; zero rows stay."""
    x = np.asarray(x, "float64")
    lengths = np.sqrt(np.sum(x * x, axis=1, keepdims=True))
    return x / np.where(lengths > 0, lengths, 1.0)


def cosines(x):
    """Matrix of cosines."""
    return unit(x) @ unit(x).T


def euclidean(x):
    """Matrix of distances, from differences."""
    x = np.asarray(x, "float64")
    return np.sqrt(np.sum((x[:, None] - x[None]) ** 2, axis=-1))


def positives_and_negatives(labels, anchor):
    """Two lists of columns."""
    rows = range(len(labels))
    positives = [j for j in rows if labels[j] == labels[anchor] and j != anchor]
    return positives, [j for j in rows if labels[j] != labels[anchor]]


def lse(values):
    """log Σ exp; −inf of nothing."""
    values = np.asarray(values, "float64")
    if not values.size:
        return -np.inf
    top = values.max()
    return top + np.log(np.sum(np.exp(values - top)))


def softplus(x):
    """log(1 + e^x)."""
    return np.logaddexp(0.0, x)


def sigmoid(x):
    """1 / (1 + e^−x)."""
    return np.exp(-softplus(-np.asarray(x, "float64")))


def mean(values):
    """Mean, 0 of nothing."""
    return float(np.mean(values)) if len(values) else 0.0


def each_anchor(labels, anchors=None):
    """(anchor, positives, negatives) of every anchor."""
    for a in range(len(labels)) if anchors is None else anchors:
        yield (a, *positives_and_negatives(labels, a))


def sup_con(x, labels, temperature=0.1, anchors=None, similarities=cosines):
    s = similarities(x) / temperature
    losses = []
    for a, positives, negatives in each_anchor(labels, anchors):
        if positives:
            total = lse(s[a, positives + negatives])
            losses.append(-mean([s[a, p] - total for p in positives]))
    return mean(losses)


def multi_similarity(x, labels, alpha=2.0, beta=50.0, base=0.5, epsilon=0.1, anchors=None):
    """`epsilon=None`: no mining."""
    s = cosines(x)
    losses = []
    for a, positives, negatives in each_anchor(labels, anchors):
        if epsilon is not None:
            both = positives and negatives
            kept = [p for p in positives if both and s[a, p] - epsilon < max(s[a, negatives])]
            negatives = [n for n in negatives if both and s[a, n] + epsilon > min(s[a, positives])]
            positives = kept
        if positives or negatives:
            pull = np.log(1 + sum(np.exp(-alpha * (s[a, p] - base)) for p in positives)) / alpha
            push = np.log(1 + sum(np.exp(beta * (s[a, n] - base)) for n in negatives)) / beta
            losses.append(pull + push)
    return mean(losses)


def circle(x, labels, margin=0.4, scale=80.0, anchors=None, weighing=None):
    """The weights [.]+ come from the embeddings `weighing`: its slope there is that of fixed weights."""
    s = cosines(x)
    fixed = s if weighing is None else cosines(weighing)
    losses = []
    for a, positives, negatives in each_anchor(labels, anchors):
        if positives and negatives:
            push = [scale * max(fixed[a, n] + margin, 0) * (s[a, n] - margin) for n in negatives]
            pull = [
                -scale * max(1 + margin - fixed[a, p], 0) * (s[a, p] - 1 + margin)
                for p in positives
            ]
            losses.append(softplus(lse(push) + lse(pull)))
    return mean(losses)


def soft_nearest_neighbor(x, labels, temperature=1.0, anchors=None):
    logits = -(euclidean(x) ** 2) / temperature
    losses = []
    for a, positives, negatives in each_anchor(labels, anchors):
        if positives:
            losses.append(lse(logits[a, positives + negatives]) - lse(logits[a, positives]))
    return mean(losses)


def lifted_structure(x, labels, margin=1.0, anchors=None):
    d = euclidean(x)
    terms = []
    for a, positives, negatives in each_anchor(labels, anchors):
        for p in positives:
            against = [margin - d[a, n] for n in negatives]
            against += [margin - d[p, n] for n in positives_and_negatives(labels, p)[1]]
            if against:
                terms.append(0.5 * max(0.0, d[a, p] + lse(against)) ** 2)
    return mean(terms)


def generalized_lifted_structure(x, labels, margin=1.0, anchors=None):
    d = euclidean(x)
    losses = []
    for a, positives, negatives in each_anchor(labels, anchors):
        if positives and negatives:
            losses.append(max(0.0, lse(d[a, positives]) + lse(margin - d[a, negatives])))
    return mean(losses)


def distance_weights(x, negatives_of, cutoff=0.5, limit=1.4):
    """Wu et al.'s weights of the negatives of each anchor, summing to 1."""
    units = unit(x)
    dimensions = units.shape[1]
    weights = {}
    for a, negatives in negatives_of.items():
        raw = {}
        for n in negatives:
            d = np.sqrt(max(2 - 2 * units[a] @ units[n], 0.0))
            if d < limit:
                d = max(d, cutoff)
                raw[n] = d ** (2.0 - dimensions) * (1 - d * d / 4) ** ((3.0 - dimensions) / 2)
        total = sum(raw.values())
        weights[a] = {n: value / total for n, value in raw.items()}
    return weights


def margin(x, labels, margin=0.2, boundary=1.2, weighing=None, anchors=None):
    """With `weighing`, embeddings, negatives have the distance weights of those; else all pairs weigh 1."""
    d = euclidean(x)
    groups = list(each_anchor(labels, anchors))
    shares = None
    if weighing is not None:
        shares = distance_weights(weighing, {a: negatives for a, _, negatives in groups})
    total = weight = 0.0
    for a, positives, negatives in groups:
        terms = [(1.0, d[a, p] - boundary + margin) for p in positives]
        for n in negatives:
            share = 1.0 if shares is None else shares[a].get(n, 0.0) * len(positives)
            terms.append((share, boundary - d[a, n] + margin))
        for w, term in terms:
            if term > 0:
                total += w * term
                weight += w
    return total / weight if weight else 0.0


def angular(x, labels, angle=40.0, anchors=None):
    units = unit(x)
    t = np.tan(np.radians(angle)) ** 2
    terms = []
    for a, positives, negatives in each_anchor(labels, anchors):
        for p in positives:
            f = [
                4 * t * (units[a] + units[p]) @ units[n] - 2 * (1 + t) * units[a] @ units[p]
                for n in negatives
            ]
            if f:
                terms.append(np.log1p(np.sum(np.exp(f))) if max(f) < 600 else lse([0.0, *f]))
    return mean(terms)


def fast_ap(x, labels, bins=10, anchors=None):
    units = unit(x)
    width = 4.0 / bins

    def histogram(a, columns):
        h = np.zeros(bins + 1)
        for j in columns:
            squared = np.sum((units[a] - units[j]) ** 2)
            for k in range(bins + 1):
                h[k] += max(0.0, 1 - abs(squared - k * width) / width)
        return h

    losses = []
    for a, positives, negatives in each_anchor(labels, anchors):
        if positives:
            h_positive, h_all = histogram(a, positives), histogram(a, positives + negatives)
            precision = 0.0
            for k in range(bins + 1):
                if h_all[: k + 1].sum() > 0:
                    share = h_positive[: k + 1].sum() / h_all[: k + 1].sum()
                    precision += share * h_positive[k]
            losses.append(1 - precision / len(positives))
    return mean(losses)


def smooth_ap(x, labels, temperature=0.01, anchors=None):
    s = cosines(x)
    losses = []
    for a, positives, negatives in each_anchor(labels, anchors):
        ratios = []
        for p in positives:

            def rank(columns, a=a, p=p):
                gaps = [(s[a, j] - s[a, p]) / temperature for j in columns if j != p]
                return 1 + np.sum(sigmoid(gaps))

            ratios.append(rank(positives) / rank(positives + negatives))
        if ratios:
            losses.append(1 - mean(ratios))
    return mean(losses)


def recall_at_k(
    x, labels, k=(1, 2, 4, 8, 16), rank_temperature=0.01, recall_temperature=1.0, anchors=None
):
    s = cosines(x)
    losses = []
    for a, positives, negatives in each_anchor(labels, anchors):
        if not positives:
            continue
        ranks = []
        for p in positives:
            gaps = [(s[a, j] - s[a, p]) / rank_temperature for j in positives + negatives if j != p]
            ranks.append(1 + np.sum(sigmoid(gaps)))
        recalls = [
            np.sum(sigmoid((c - np.array(ranks)) / recall_temperature)) / min(c, len(positives))
            for c in k
        ]
        losses.append(1 - mean(recalls))
    return mean(losses)


def threshold_consistent_margin(
    x, labels, positive_margin=0.9, negative_margin=0.5, weights=(1.0, 1.0), anchors=None
):
    s = cosines(x)
    low, high = [], []
    for a, positives, negatives in each_anchor(labels, anchors):
        low += [positive_margin - s[a, p] for p in positives if s[a, p] <= positive_margin]
        high += [s[a, n] - negative_margin for n in negatives if s[a, n] >= negative_margin]
    return weights[0] * mean(low) + weights[1] * mean(high)
