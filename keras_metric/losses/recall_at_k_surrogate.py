"""Recall@k surrogate."""

from keras import ops

from keras_metric import checks
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_anchors
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
    _, ranks, present = soft_ranks(similarities, pairs.positives, pairs.negatives, rank_temperature)
    count = ops.sum(present, axis=1)
    recalls = [
        ops.sum(present * ops.sigmoid((cutoff - ranks) / recall_temperature), axis=1)
        / ops.clip(count, 1.0, cutoff)
        for cutoff in map(float, k)
    ]
    return mean_over_anchors(1.0 - sum(recalls) / len(recalls), count)


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
        distance="cosine",
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
