"""Cross-entropy between a given matrix of similarities and the agreement of labels, for both N-pairs losses."""

import abc

import keras
from keras import ops

from keras_metric import checks
from keras_metric.compat.addons.saving import as_reduction
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.numerics import as_float


def softmax_agreement(agreement, similarities):
    """Cross-entropy of each row's softmax against its agreement, normalised to sum 1.

        loss_i = −Σ_j (A_ij / Σ_k A_ik) log softmax_j(s_i)

    Args:
        agreement: A >= 0, shape (batch, batch).
        similarities: s, shape (batch, batch).

    Returns:
        Losses of shape (batch,), whose mean is that over rows with any agreement; the others give 0.
    """
    total = ops.sum(agreement, axis=1)
    targets = agreement / ops.where(total > 0, total, ops.ones_like(total))[:, None]
    terms = -ops.sum(targets * ops.log_softmax(similarities, axis=1), axis=1)
    return mean_over_anchors(terms, total)


class SimilarityMatrixLoss(keras.losses.Loss, abc.ABC):
    """Base of losses from labels and the matrix of similarities (batch, batch), such as a·bᵀ."""

    def __init__(self, name, reduction: str | None = "sum_over_batch_size", dtype=None):
        super().__init__(name=name, reduction=as_reduction(reduction), dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Reduced loss; labels are compared before Keras casts `y_true` to float, which merges large ids."""
        owner = type(self).__name__
        similarities = as_float(y_pred)
        shape = similarities.shape
        if len(shape) != 2 or None not in shape and shape[0] != shape[1]:
            checks.fail_shape(
                "y_pred", owner, "be a matrix of similarities (batch, batch)", similarities,
                "Multiply two batches of embeddings: ops.matmul(a, ops.transpose(b)). From one batch of embeddings "
                "and class ids use keras_metric.losses.NTXentLoss or SupConLoss.",
            )  # fmt: skip
        agreement = self.agreement(y_true)
        checks.same_rows(agreement, "y_true", similarities, "y_pred", owner)
        return super().__call__(agreement, similarities, sample_weight)

    @abc.abstractmethod
    def agreement(self, y_true):
        """How far the labels of each two rows agree, (batch, batch), >= 0."""

    def call(self, y_true, y_pred):
        """Losses (batch,) of agreement and similarities, (batch, batch) each."""
        return softmax_agreement(y_true, y_pred)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "dtype": self.dtype}
