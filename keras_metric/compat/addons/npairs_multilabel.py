"""`NpairsMultilabelLoss` of TensorFlow Addons."""

from keras import ops

from keras_metric import checks
from keras_metric.compat.addons.npairs_base import SimilarityMatrixLoss
from keras_metric.compat.addons.saving import register


def npairs_multilabel_loss(y_true, y_pred):
    """Scalar of `NpairsMultilabelLoss()`."""
    return NpairsMultilabelLoss()(y_true, y_pred)


@register
class NpairsMultilabelLoss(SimilarityMatrixLoss):
    """Cross-entropy of each row of similarities against the rows that it shares classes with, by their number.

        loss_i = −Σ_j (c_ij / Σ_k c_ik) log softmax_j(s_i),   c_ij = number of classes that i and j share

    Inputs: `y_true` multi-hot classes (batch, classes), dense or a `tf.SparseTensor`; `y_pred` similarities
    (batch, batch) as in `NpairsLoss`.

    Args:
        name: name of the loss.
        reduction, dtype: as for every Keras loss.

    A row without a class adds 0 and leaves the mean; Addons gives NaN.

    References:
        Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NeurIPS 2016, equation 11; the
        shares by count are Addons' own.
    """

    def __init__(
        self,
        name: str | None = "npairs_multilabel_loss",
        reduction: str | None = "sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name or "npairs_multilabel_loss", reduction, dtype)

    def agreement(self, y_true):
        """Number of classes that each two rows share."""
        classes = ops.convert_to_tensor(y_true, sparse=False)
        if len(classes.shape) != 2:
            checks.fail_shape(
                "y_true", "NpairsMultilabelLoss", "be multi-hot, of shape (batch, classes)", classes,
                "For one class id a row use NpairsLoss.",
            )  # fmt: skip
        classes = ops.cast(classes, "float32")
        return ops.matmul(classes, ops.transpose(classes))
