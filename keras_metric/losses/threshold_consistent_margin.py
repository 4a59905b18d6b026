"""Threshold-consistent margin loss."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_terms


def threshold_consistent_margin(
    similarities,
    pairs,
    positive_margin=0.9,
    negative_margin=0.5,
    positive_weight=1.0,
    negative_weight=1.0,
):
    """Moves hard pairs to similarities that one threshold parts for all classes.

        λ₊ · mean of m₊ − s over positive pairs with s <= m₊   +   λ₋ · mean of s − m₋ over negative pairs with s >= m₋

    Args:
        similarities: shape (batch, references), in [−1, 1].
        pairs: `Pairs` of weights, each of shape (batch, references).
        positive_margin: m₊ in [−1, 1].
        negative_margin: m₋ in [−1, 1].
        positive_weight: λ₊ >= 0.
        negative_weight: λ₋ >= 0.

    Returns:
        Losses of shape (batch,). Without a hard pair of a kind its part is 0.

    References:
        Zhang et al., "Threshold-Consistent Margin Loss for Open-World Deep Metric Learning", ICLR 2024,
        arXiv:2307.04047, section 4.
    """
    low = ops.where(similarities <= positive_margin, pairs.positives, 0.0)
    high = ops.where(similarities >= negative_margin, pairs.negatives, 0.0)
    pull = ops.sum(low * (positive_margin - similarities), axis=1)
    push = ops.sum(high * (similarities - negative_margin), axis=1)
    return positive_weight * mean_over_terms(
        pull, ops.sum(low, axis=1)
    ) + negative_weight * mean_over_terms(push, ops.sum(high, axis=1))


@LOSSES.register("threshold_consistent_margin")
class ThresholdConsistentMarginLoss(EmbeddingLoss):
    """`threshold_consistent_margin` between the embeddings of a batch: a regulariser, to be added to another loss.

    It makes one verification threshold fit all classes; alone it trains only pairs that are already hard.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions).

    Args:
        positive_margin, negative_margin, positive_weight, negative_weight: see `threshold_consistent_margin`.
        distance: name or `Distance` with a bounded similarity ("cosine", "angular").
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.
    """

    needs_bounded_similarity = True

    def __init__(
        self,
        positive_margin=0.9,
        negative_margin=0.5,
        positive_weight=1.0,
        negative_weight=1.0,
        distance: str | Distance = "cosine",
        **kwargs,
    ):
        super().__init__(distance, **kwargs)
        owner = "ThresholdConsistentMarginLoss"
        inside = {"at_least": -1, "at_most": 1}
        self.positive_margin = checks.number(positive_margin, "positive_margin", owner, **inside)
        self.negative_margin = checks.number(negative_margin, "negative_margin", owner, **inside)
        self.positive_weight = checks.number(positive_weight, "positive_weight", owner, at_least=0)
        self.negative_weight = checks.number(negative_weight, "negative_weight", owner, at_least=0)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        return threshold_consistent_margin(
            self.distance.similarity(distances),
            all_pairs(relations),
            self.positive_margin,
            self.negative_margin,
            self.positive_weight,
            self.negative_weight,
        )

    def get_config(self):
        """Constructor arguments."""
        own = {
            "positive_margin": self.positive_margin,
            "negative_margin": self.negative_margin,
            "positive_weight": self.positive_weight,
            "negative_weight": self.negative_weight,
        }
        return {**super().get_config(), **own}
