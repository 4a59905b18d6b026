"""`NpairsLoss` of TensorFlow Addons."""

from keras import ops

from keras_metric.compat.addons.npairs_base import SimilarityMatrixLoss
from keras_metric.compat.addons.saving import register
from keras_metric.tensors.relations import pair_relations


def npairs_loss(y_true, y_pred):
    """Scalar of `NpairsLoss()`."""
    return NpairsLoss()(y_true, y_pred)


@register
class NpairsLoss(SimilarityMatrixLoss):
    """Cross-entropy of each row of similarities against the rows of the same class, in equal shares.

        loss_i = −Σ_{j: y_j = y_i} log softmax_j(s_i) / (number of j with y_j = y_i)

    Inputs: `y_true` class ids (batch,) or (batch, 1), `y_pred` similarities (batch, batch) between two
    batches of embeddings, a·bᵀ, where row i of `a` and of `b` have the class y_i.

    Args:
        name: name of the loss.
        reduction, dtype: as for every Keras loss.

    For new code: `losses.InfoNCELoss` on a two-tower model, which takes the embeddings themselves; other rows of the
    same class are then neither positive nor negative. The penalty on the norms of embeddings that the paper adds is in
    neither.

    References:
        Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NeurIPS 2016, equation 11.
    """

    def __init__(
        self,
        name: str | None = "npairs_loss",
        reduction: str | None = "sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name or "npairs_loss", reduction, dtype)

    def agreement(self, y_true):
        """1.0 for rows of the same class, and for a row with itself."""
        relations = pair_relations(y_true, owner="NpairsLoss")
        return ops.where(relations < 0, 0.0, 1.0)  # a row's relation to itself is 0
