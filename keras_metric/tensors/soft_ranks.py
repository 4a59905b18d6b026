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


def soft_ranks(similarities, positives, negatives, temperature):
    """Ranks of positives by similarity, with a sigmoid in place of each comparison.

        rank[a, p] = 1 + Σ_{j ≠ p} σ((s_aj − s_ap) / τ)

    Args:
        similarities: (B, N).
        positives: (B, N) of 1 and 0.
        negatives: (B, N) of 1 and 0.
        temperature: τ > 0.

    Returns:
        `(among_positives, among_all, present)`, (B, N) each: column k holds the rank of the anchor's k-th positive with
        j over P and over P ∪ N, and 1 in `present` if there is a k-th one. Time O(B²·K) for K positives an anchor,
        memory O(B²): the gradient makes the passes again instead of keeping a matrix of each.
    """
    ranks = ops.custom_gradient(lambda *args: _walk(*args, temperature=temperature))(
        similarities, positives, negatives
    )  # (2, B, N)
    position = ops.cumsum(ops.ones_like(positives), axis=1)
    present = ops.cast(position <= ops.sum(positives, axis=1, keepdims=True), similarities.dtype)
    return ranks[0], ranks[1], present


def _walk(similarities, positives, negatives, temperature):
    columns, _ = positive_columns(positives, few=False)
    most = most_positives(positives)
    everything = positives + negatives

    def closer(k):
        """σ((s_aj − s_ap) / τ) for the k-th positives p, with their columns."""
        column = column_of(columns, k)
        gap = similarities - pick(similarities, column)[:, None]
        return ops.sigmoid(gap / temperature), column

    def add_ranks(k, state):
        share, _ = closer(k)
        # The positive itself is in the sum with σ(0) = ½, so ½ more makes its rank.
        among_positives = ops.sum(positives * share, axis=1) + 0.5
        among_all = ops.sum(everything * share, axis=1) + 0.5
        return put_column(state[0], k, among_positives), put_column(state[1], k, among_all)

    ones = ops.ones_like(similarities)
    ranks = for_each_positive(add_ranks, most, (ones, ones))

    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream  # (2, B, N)

        def add_slopes(k, state):
            share, column = closer(k)
            by_rank = (
                column_of(upstream[0], k)[:, None] * positives
                + column_of(upstream[1], k)[:, None] * everything
            )
            slopes = by_rank * share * (1.0 - share) / temperature
            to_positive = ops.sum(slopes, axis=1, keepdims=True)
            return (state[0] + slopes - one_hot_columns(column, slopes) * to_positive,)

        zeros = ops.zeros_like(similarities)
        slopes = for_each_positive(add_slopes, most, (zeros,))[0]
        return slopes, zeros, zeros

    return ops.stack(ranks), gradient
