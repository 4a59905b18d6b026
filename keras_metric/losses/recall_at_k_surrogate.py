"""Recall@k surrogate."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.positives import for_each_positive
from keras_metric.tensors.soft_ranks import soft_ranks


def recall_at_k_surrogate(
    similarities, pairs, k=(1, 2, 4, 8, 16), rank_temperature=0.01, recall_temperature=1.0
):
    """One minus a smooth recall at several k, of the batch ranked for each anchor.

        loss[a] = 1 − mean over k of Σ_{p in P(a)} σ((k − ρ_p) / T_recall) / min(k, |P(a)|)
        ρ_p = 1 + Σ_{j in P(a) ∪ N(a), j ≠ p} σ((s_aj − s_ap) / T_rank)

    Args:
        similarities: shape (batch, references).
        pairs: `Pairs` of 1 and 0, each of shape (batch, references).
        k: whole numbers >= 1.
        rank_temperature: T_rank > 0, in units of the similarity.
        recall_temperature: T_recall > 0, in ranks.

    Returns:
        Losses of shape (batch,). Anchors without a positive give 0 and do not count. With many positives beyond the
        k-th their sigmoids add up, so that the loss may fall below 0.

    References:
        Patel, Tolias and Matas, "Recall@k Surrogate Loss with Large Batches and Similarity Mixup", CVPR 2022,
        arXiv:2108.11179, section 3.
    """
    _, ranks, present = soft_ranks(
        similarities, pairs.positives, pairs.negatives, rank_temperature, both=False
    )
    count = ops.sum(pairs.positives, axis=1)
    recall = _recall(ranks, present, count, k, recall_temperature)
    return mean_over_anchors(1.0 - recall, count)


def _recall(ranks, present, count, k, temperature):
    """Mean over k of Σ_p σ((k − ρ_p) / T) / min(k, |P|), (B,), with one matrix in use at a time, not one for each k."""
    cutoffs = ops.convert_to_tensor([float(cutoff) for cutoff in k], dtype=ranks.dtype)
    # A rank far beyond every cutoff adds nothing, and has no slope.
    beyond = max(k) + 1e4 * temperature
    passes = ops.zeros_like(ops.sum(count), dtype="int32") + len(k)

    def share_and_inside(ranks, count, i):
        cutoff = ops.take(cutoffs, i)
        share = 1.0 / (len(k) * ops.clip(count, 1.0, cutoff))
        return share, ops.sigmoid((cutoff - ranks) / temperature)

    def forward(ranks, count):
        def add_recall(i, state):
            share, inside = share_and_inside(ranks, count, i)
            return (state[0] + share * ops.sum(inside, axis=1),)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream

            def add_slopes(i, state):
                share, inside = share_and_inside(ranks, count, i)
                return (state[0] - (upstream * share)[:, None] * inside * (1.0 - inside),)

            slopes = for_each_positive(add_slopes, passes, (ops.zeros_like(ranks),))[0]
            return slopes / temperature, ops.zeros_like(count)

        return for_each_positive(add_recall, passes, (ops.zeros_like(count),))[0], gradient

    return ops.custom_gradient(forward)(ops.where(present, ranks, beyond), count)


@LOSSES.register("recall_at_k_surrogate")
class RecallAtKSurrogateLoss(EmbeddingLoss):
    """`recall_at_k_surrogate` between the embeddings of a batch.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions); large batches with several examples of
    a class (`data.pk_batches`). The anchor itself is not ranked.

    Args:
        k: one whole number or several; see `recall_at_k_surrogate`.
        rank_temperature, recall_temperature: see `recall_at_k_surrogate`.
        distance: name or `Distance`; its similarity is ranked.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Differs from the authors' code: no similarity mixup, and no cube of batch³ entries.

    See also: `SmoothAPLoss` looks at the whole ranking.
    """

    def __init__(
        self,
        k=(1, 2, 4, 8, 16),
        rank_temperature=0.01,
        recall_temperature=1.0,
        distance: str | Distance = "cosine",
        **kwargs,
    ):
        super().__init__(distance, **kwargs)
        owner = "RecallAtKSurrogateLoss"
        self.k = checks.wholes(k, "k", owner)
        self.rank_temperature = checks.number(rank_temperature, "rank_temperature", owner, above=0)
        self.recall_temperature = checks.number(
            recall_temperature, "recall_temperature", owner, above=0
        )

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        return recall_at_k_surrogate(
            self.distance.similarity(distances),
            all_pairs(relations),
            self.k,
            self.rank_temperature,
            self.recall_temperature,
        )

    def get_config(self):
        """Constructor arguments."""
        own = {
            "k": list(self.k),
            "rank_temperature": self.rank_temperature,
            "recall_temperature": self.recall_temperature,
        }
        return {**super().get_config(), **own}
