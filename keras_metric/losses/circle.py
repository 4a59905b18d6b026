"""Circle loss."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.masked import any_weight, log_sum_exp


def circle(similarities, pairs, margin=0.4, scale=80.0):
    """Weighs every pair by how far it is from its goal: 1 + m for positives, −m for negatives.

        loss[a] = softplus(lse_{n in N(a)} γ [s_an + m]+ (s_an − m) + lse_{p in P(a)} −γ [1 + m − s_ap]+ (s_ap − 1 + m))

    The weights [.]+ have no gradient, as in the paper.

    Args:
        similarities: shape (batch, references), in [−1, 1].
        pairs: `Pairs` of weights, each of shape (batch, references).
        margin: m, in [0, 1); positives are pulled above 1 − m, negatives pushed below m.
        scale: γ > 0.

    Returns:
        Losses of shape (batch,). Anchors without a positive or without a negative give 0 and do not count.

    References:
        Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", CVPR 2020, arXiv:2002.10857,
        equations 6 and 8.
    """
    fixed = ops.stop_gradient(similarities)
    push = scale * ops.relu(fixed + margin) * (similarities - margin)
    pull = -scale * ops.relu(1.0 + margin - fixed) * (similarities - (1.0 - margin))
    terms = ops.softplus(log_sum_exp(push, pairs.negatives) + log_sum_exp(pull, pairs.positives))
    return mean_over_anchors(terms, any_weight(pairs.positives) * any_weight(pairs.negatives))


@LOSSES.register("circle")
class CircleLoss(EmbeddingLoss):
    """`circle` between the embeddings of a batch.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions); batches with 2 or more examples of
    a class (`data.pk_batches`).

    Args:
        margin, scale: see `circle`. The paper takes (0.25, 256) for faces and (0.4, 80) for fine-grained retrieval.
        distance: name or `Distance` with a bounded similarity ("cosine", "angular").
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Differs from common re-implementations: one term an anchor, as in the paper, where some take one for a whole batch;
    the mean is over the anchors with both kinds of pair.

    See also: `MultiSimilarityLoss` weighs pairs by their neighbours.
    """

    needs_bounded_similarity = True

    def __init__(self, margin=0.4, scale=80.0, distance: str | Distance = "cosine", **kwargs):
        super().__init__(distance, **kwargs)
        self.margin = checks.number(margin, "margin", "CircleLoss", at_least=0, below=1)
        self.scale = checks.number(scale, "scale", "CircleLoss", above=0)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        similarities = self.distance.similarity(distances)
        return circle(similarities, all_pairs(relations), self.margin, self.scale)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "margin": self.margin, "scale": self.scale}
