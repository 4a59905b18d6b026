"""Smooth average precision."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.soft_ranks import soft_ranks


def smooth_ap(similarities, pairs, temperature=0.01):
    """One minus the average precision of the batch ranked for each anchor, with sigmoids in place of comparisons.

        loss[a] = 1 − mean_{p in P(a)} rank(p among P(a)) / rank(p among P(a) ∪ N(a))
        rank(p among S) = 1 + Σ_{j in S, j ≠ p} σ((s_aj − s_ap) / τ)

    Args:
        similarities: shape (batch, references).
        pairs: `Pairs` of 1 and 0, each of shape (batch, references).
        temperature: τ > 0, in units of the similarity; gradients reach as far as gaps of a few τ.

    Returns:
        Losses of shape (batch,), in [0, 1). Anchors without a positive give 0 and do not count.

    References:
        Brown et al., "Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval", ECCV 2020, arXiv:2007.12163,
        section 4.
    """
    among_positives, among_all, _ = soft_ranks(
        similarities, pairs.positives, pairs.negatives, temperature
    )
    count = ops.sum(pairs.positives, axis=1)
    # 1 − a/b as (b − a)/b: exactly 0 where no negative is near, and where there is no k-th positive.
    misses = ops.sum((among_all - among_positives) / among_all, axis=1)
    return mean_over_anchors(misses / ops.maximum(count, 1.0), count)


@LOSSES.register("smooth_ap")
class SmoothAPLoss(EmbeddingLoss):
    """`smooth_ap` between the embeddings of a batch.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions); large batches with several examples of
    a class (`data.pk_batches`). The anchor itself is not ranked.

    Args:
        temperature: see `smooth_ap`.
        distance: name or `Distance`; its similarity is ranked.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Differs from the authors' code, which ranks the anchor itself, wants every class equally often and in blocks, and
    builds a cube of batch³ entries: here any ids, O(batch² · positives) time and O(batch²) memory.

    See also: `FastAPLoss` bins distances; `RecallAtKSurrogateLoss` looks at the first k.
    """

    def __init__(self, temperature=0.01, distance: str | Distance = "cosine", **kwargs):
        super().__init__(distance, **kwargs)
        self.temperature = checks.number(temperature, "temperature", "SmoothAPLoss", above=0)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        similarities = self.distance.similarity(distances)
        return smooth_ap(similarities, all_pairs(relations), self.temperature)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "temperature": self.temperature}
