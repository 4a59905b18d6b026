"""Generalised lifted structure loss."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.masked import any_weight, log_sum_exp


def generalized_lifted_structure(distances, pairs, margin=1.0):
    """Pulls the positives of an anchor, the farthest most, against its negatives, the nearest most.

        loss[a] = [lse_{p in P(a)} d_ap + lse_{n in N(a)} (m − d_an)]+

    Args:
        distances: shape (batch, references).
        pairs: `Pairs` of weights, each of shape (batch, references).
        margin: m >= 0, in units of the distance.

    Returns:
        Losses of shape (batch,). Anchors without a positive or without a negative give 0 and do not count.

    References:
        Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017,
        arXiv:1703.07737, equation 8.
    """
    pull = log_sum_exp(distances, pairs.positives)
    push = log_sum_exp(margin - distances, pairs.negatives)
    both = any_weight(pairs.positives) * any_weight(pairs.negatives)
    return mean_over_anchors(ops.relu(ops.where(both > 0, pull + push, 0.0)), both)


@LOSSES.register("generalized_lifted_structure")
class GeneralizedLiftedStructureLoss(EmbeddingLoss):
    """`generalized_lifted_structure` between the embeddings of a batch.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions); batches with 2 or more examples of
    a class (`data.pk_batches`).

    Args:
        margin: see `generalized_lifted_structure`.
        distance: name or `Distance`.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    See also: `LiftedStructureLoss` takes positives pair by pair. pytorch-metric-learning adds a regulariser of the
    norms; here a layer's `activity_regularizer` does that.
    """

    def __init__(self, margin=1.0, distance: str | Distance = "euclidean", **kwargs):
        super().__init__(distance, **kwargs)
        owner = "GeneralizedLiftedStructureLoss"
        self.margin = checks.number(margin, "margin", owner, at_least=0)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        return generalized_lifted_structure(distances, all_pairs(relations), self.margin)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "margin": self.margin}
