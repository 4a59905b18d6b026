"""Sums of triplet terms over every (positive, negative) of an anchor, without a (B, B, B) cube.

The hinge `[d_ap − d_an + m]+` is linear wherever it is active. Its sum over all pairs is therefore

    Σ_p c_p (d_ap + m) − Σ_n e_n d_an

with c_p the weight of the negatives that are active with p and e_n that of the positives active with n. These counts
come from one pass for each positive where anchors have few, and from one sorted row where they have many:
O(B² log B) time, O(B²) memory, exact in value and gradient.
"""

import typing

from keras import ops

from keras_metric.tensors.numerics import LARGE, epsilon, row_zeros
from keras_metric.tensors.positives import (
    FEW,
    at_columns,
    column_of,
    for_each_positive,
    most_positives,
    one_hot_columns,
    pick,
    positive_columns,
    put_column,
    spread,
)


class TripletSums(typing.NamedTuple):
    """For each anchor, (B,): the sum of its terms, their total weight, and the weight of those > 0."""

    sums: typing.Any
    counts: typing.Any
    active: typing.Any


def triplet_terms(positive, negative, margin):
    """`[d_ap − d_an + margin]+`, or softplus(d_ap − d_an) for `margin=None`; any shape."""
    if margin is None:
        return ops.softplus(positive - negative)
    return ops.relu(positive - negative + margin)


def slope_of_terms(positive, negative, margin):
    """Derivative of `triplet_terms` by the distance of the positive; by that of the negative it is the opposite."""
    if margin is None:
        return ops.sigmoid(positive - negative)
    return ops.cast(positive - negative + margin > 0, positive.dtype)


def sums_of_triplets(positive, negative, weights, margin):
    """Sums over explicit triplets: distances and weights (B, M)."""
    terms = triplet_terms(positive, negative, margin)
    kept = weights > 0
    terms = ops.where(kept, terms, ops.zeros_like(terms))
    counts = ops.sum(weights, axis=1)
    # A softplus is above 0 everywhere, also where float32 rounds it to 0.
    active = counts if margin is None else ops.sum(ops.where(terms > 0, weights, 0.0), axis=1)
    return TripletSums(ops.sum(weights * terms, axis=1), counts, active)


def sums_of_all_triplets(distances, pairs, margin, reference_distances=None):
    """Sums over every positive with every negative of an anchor, weight w_ap · w_an.

    Args:
        distances: (B, N).
        pairs: `positives` and `negatives`, weights (B, N) of which no entry has both.
        margin: of the hinge, or None for softplus.
        reference_distances: (N, N) between the references, to swap: d_an ← min(d_an, d_pn). None: no swap.

    Returns:
        `TripletSums`. Time O(B² log B) for the plain hinge, O(B²·K) for K positives an anchor with softplus or swap.
    """
    positives, negatives = pairs
    counts = ops.sum(positives, axis=1) * ops.sum(negatives, axis=1)
    if margin is None or reference_distances is not None:
        sums, active = _walk_terms(distances, pairs, margin, reference_distances)
        return TripletSums(sums, counts, counts if margin is None else active)
    fixed, most = ops.stop_gradient(distances), most_positives(positives)
    # Nothing that has a gradient goes into the branches: TensorFlow would keep all their intermediates for it.
    slopes, active = ops.cond(
        most <= FEW,
        lambda: _slopes_by_passes(fixed, pairs, most, margin),
        lambda: _slopes_by_sorting(fixed, pairs, margin),
    )
    # The slopes of an anchor add up to 0, so moving all its distances changes nothing but rounding.
    middle = ops.mean(fixed, axis=1, keepdims=True)
    sums = ops.sum(slopes * (distances - middle), axis=1) + margin * active
    return TripletSums(ops.where(active > 0, sums, ops.zeros_like(sums)), counts, active)


def _slopes_by_passes(distances, pairs, most, margin):
    """Slope of each anchor's sum by its distances (B, N), and the weight of its active terms (B,)."""
    columns, weights = positive_columns(pairs.positives, few=True)  # (B, FEW)
    thresholds = at_columns(distances, columns) + margin
    candidates = ops.where(pairs.negatives > 0, distances, LARGE)

    def step(k, state):
        by_positive, by_negative = state
        active = ops.where(candidates < column_of(thresholds, k)[:, None], pairs.negatives, 0.0)
        weight = column_of(weights, k)
        by_positive = put_column(by_positive, k, weight * ops.sum(active, axis=1))
        return by_positive, by_negative - weight[:, None] * active

    start = (ops.zeros_like(weights), ops.zeros_like(distances))
    by_positive, by_negative = for_each_positive(step, most, start)
    slopes = by_negative + spread(by_positive, columns, distances)
    return slopes, ops.sum(by_positive, axis=1)


def _slopes_by_sorting(distances, pairs, margin):
    """The same by one sorted row for each anchor."""
    # A negative that equals a threshold has a hinge of 0: it is moved behind it, to be inactive.
    behind = distances + 2 * epsilon(distances) * ops.abs(distances + margin) + 1e-37
    keys = ops.where(
        pairs.positives > 0, distances + margin, ops.where(pairs.negatives > 0, behind, LARGE)
    )
    order = ops.argsort(keys, axis=1)
    signed = at_columns(pairs.positives - pairs.negatives, order)
    positives, negatives = ops.relu(signed), ops.relu(-signed)
    by_positive = positives * ops.cumsum(negatives, axis=1)
    above = ops.sum(positives, axis=1, keepdims=True) - ops.cumsum(positives, axis=1)
    slopes = spread(by_positive - negatives * above, order, distances)
    return slopes, ops.sum(by_positive, axis=1)


def _walk_terms(distances, pairs, margin, reference_distances):
    """Sums and active weights (B,) of any term, swapped or not, by one pass for each positive.

    The gradient makes the same passes again: differentiating the loop would keep a (B, N) matrix of each.
    """
    swap = reference_distances is not None
    references = reference_distances if swap else distances[:1, :1]
    walk = ops.custom_gradient(lambda *args: _walk(*args, margin=margin, swap=swap))
    sums_and_active = walk(distances, references, pairs.positives, pairs.negatives)  # (B, 2)
    return sums_and_active[:, 0], ops.stop_gradient(sums_and_active[:, 1])


def _walk(distances, references, positives, negatives, margin, swap):
    columns, weights = positive_columns(positives, few=False)
    most = most_positives(positives)

    def one_pass(k):
        """Weight, gap d_ap − d_an (+ margin) and, if swapped, where d_pn came in, of the k-th positives."""
        column = column_of(columns, k)
        negative, swapped = distances, None
        if swap:
            from_positive = ops.take(references, column, axis=0)  # (B, N)
            swapped = from_positive < distances
            negative = ops.where(swapped, from_positive, distances)
        gap = pick(distances, column)[:, None] - negative
        return column_of(weights, k)[:, None] * negatives, gap, column, swapped

    def add_terms(k, state):
        kept, gap, _, _ = one_pass(k)
        terms = ops.softplus(gap) if margin is None else ops.relu(gap + margin)
        active = ops.where(terms > 0, kept, ops.zeros_like(kept))
        return state[0] + ops.sum(kept * terms, axis=1), state[1] + ops.sum(active, axis=1)

    zeros = row_zeros(positives)
    sums, active = for_each_positive(add_terms, most, (zeros, zeros))

    def gradient(*args, upstream=None):
        by_sums = (args[0] if upstream is None else upstream)[:, :1]

        def add_slopes(k, state):
            by_distance, by_reference = state
            kept, gap, column, swapped = one_pass(k)
            slopes = ops.sigmoid(gap) if margin is None else ops.cast(gap + margin > 0, gap.dtype)
            slopes = by_sums * kept * slopes
            to_anchor = slopes
            if swap:
                to_anchor = ops.where(swapped, ops.zeros_like(slopes), slopes)
                rows = ops.shape(references)[0]
                by_reference = by_reference - ops.segment_sum(slopes - to_anchor, column, rows)
            to_positive = ops.sum(slopes, axis=1, keepdims=True)
            moved = one_hot_columns(column, distances) * to_positive - to_anchor
            return by_distance + moved, by_reference

        zeros = ops.zeros_like(distances)
        start = (zeros, ops.zeros_like(references))
        by_distance, by_reference = for_each_positive(add_slopes, most, start)
        return by_distance, by_reference, zeros, zeros

    return ops.stack([sums, active], axis=1), gradient
