"""Smooth ranks of every positive of every anchor, without a (B, B, B) cube."""

from keras import ops

from keras_metric.tensors.positives import (
    column_of,
    for_each_positive,
    most_positives,
    one_hot_columns,
    pick,
    positive_columns,
    put_column,
)


def soft_ranks(similarities, positives, negatives, temperature, both=True):
    """Ranks of positives by similarity, with a sigmoid in place of each comparison.

        rank[a, p] = 1 + Σ_{j ≠ p} σ((s_aj − s_ap) / τ)

    Args:
        similarities: (B, N).
        positives: (B, N) of 1 and 0.
        negatives: (B, N) of 1 and 0.
        temperature: τ > 0.
        both: whether ranks among the positives alone are wanted too.

    Returns:
        `(among_positives, among_all, present)`, (B, N) each: column k holds the rank of the anchor's k-th positive with
        j over P and over P ∪ N (1, without a gradient, if there is none), and `present` is true if there is one. Time
        O(B²·K) for K positives an anchor, memory O(B²): the gradient makes the passes again instead of keeping a
        matrix of each.
    """
    walk = ops.custom_gradient(lambda *args: _walk(*args, temperature=temperature, both=both))
    ranks = walk(similarities, positives, negatives)  # (B, 2N) or (B, N)
    among_positives, among_all = ops.split(ranks, 2, axis=1) if both else (None, ranks)
    position = ops.cumsum(ops.ones_like(positives), axis=1)
    present = position <= ops.sum(positives, axis=1, keepdims=True)
    return among_positives, among_all, present


def _walk(similarities, positives, negatives, temperature, both):
    columns, _ = positive_columns(positives, few=False)
    most = most_positives(positives)
    count = ops.sum(positives, axis=1)  # (B,)
    # Both kinds side by side: two matrices of their own would be copied to be stacked.
    kinds = 2 if both else 1
    offset = ops.shape(positives)[1] if both else 0

    def closer(k):
        """σ((s_aj − s_ap) / τ) for the k-th positives p, with their columns."""
        column = column_of(columns, k)
        gap = similarities - pick(similarities, column)[:, None]
        return ops.sigmoid(gap / temperature), column

    def existing(k, values, otherwise):
        """Values (B,) of the anchors that have a k-th positive."""
        return ops.where(ops.cast(k, count.dtype) < count, values, otherwise)

    def add_ranks(k, state):
        share, _ = closer(k)
        # The positive itself is in the sum with σ(0) = ½, so ½ more makes its rank.
        among_positives = ops.sum(positives * share, axis=1) + 0.5
        among_negatives = ops.sum(negatives * share, axis=1)
        among_all = among_positives + among_negatives
        ranks = put_column(state[0], k, existing(k, among_positives, 1.0)) if both else state[0]
        return (put_column(ranks, offset + k, existing(k, among_all, 1.0)),)

    ones = ops.tile(ops.ones_like(similarities), (1, kinds))
    ranks = for_each_positive(add_ranks, most, (ones,))[0]

    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream  # of the shape of `ranks`

        def add_slopes(k, state):
            share, column = closer(k)
            by_all = existing(k, column_of(upstream, offset + k), 0.0)
            by_either = by_all
            if both:
                by_either = by_all + existing(k, column_of(upstream, k), 0.0)
            by_rank = by_either[:, None] * positives + by_all[:, None] * negatives
            slopes = by_rank * share * (1.0 - share) / temperature
            to_positive = ops.sum(slopes, axis=1, keepdims=True)
            return (state[0] + slopes - one_hot_columns(column, slopes) * to_positive,)

        zeros = ops.zeros_like(similarities)
        slopes = for_each_positive(add_slopes, most, (zeros,))[0]
        return slopes, zeros, zeros

    return ranks, gradient
