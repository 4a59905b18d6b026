"""The flow of every loss between class ids and similarities to class proxies, once."""

import abc

import keras
from keras import ops

from keras_metric import checks
from keras_metric.losses.base import LOSSES, as_ignored_id
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.columns import class_columns
from keras_metric.tensors.masked import log_one_plus_sum_exp
from keras_metric.tensors.numerics import as_float, nan_unless_finite


class ProxyLoss(keras.losses.Loss, abc.ABC):
    """Base of losses from class ids `(batch,)` and cosines `(batch, classes)` of `layers.ProxySimilarity`.

    Ids are columns: 0 … C − 1 (`data.dense_ids` numbers any labels so). A subclass gives `per_row`.

    Args:
        ignore_id: rows with this id take part in nothing; None: all do. It need not be a column.
        reduction, name, dtype: as for every Keras loss.
    """

    extra_columns = 0  # columns of `y_pred` behind the classes

    def __init__(
        self, ignore_id=None, reduction: str | None = "sum_over_batch_size", name=None, dtype=None
    ):
        super().__init__(name=name or LOSSES.name_of(self), reduction=reduction, dtype=dtype)
        self.ignore_id = as_ignored_id(ignore_id, type(self).__name__)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Reduced loss; ids become one-hot rows before Keras casts `y_true` to float, which merges large ones."""
        owner = type(self).__name__
        similarities = as_float(y_pred)
        columns = similarities.shape[1] if len(similarities.shape) == 2 else None
        if columns is None or columns <= self.extra_columns:
            more = " and the norms last, (batch, classes + 1)" if self.extra_columns else ""
            checks.fail_shape(
                "y_pred", owner, f"be similarities of shape (batch, classes){more}", similarities,
                "models.with_proxies(encoder, num_classes) gives them.",
            )  # fmt: skip
        classes = columns - self.extra_columns
        targets = class_columns(y_true, classes, self.ignore_id, owner, similarities.dtype)
        checks.same_rows(targets, "y_true", similarities, "y_pred", owner)
        mask = getattr(y_pred, "_keras_mask", None)
        if mask is not None:
            similarities._keras_mask = mask
        return super().__call__(targets, similarities, sample_weight)

    def call(self, targets, similarities):
        """Losses (B,) of one-hot classes (B, C) and similarities (B, C)."""
        similarities = as_float(similarities)
        losses = self.per_row(similarities, ops.cast(targets, similarities.dtype))
        # A row of NaN among the targets is an id that is no class.
        return losses + nan_unless_finite(similarities) + nan_unless_finite(targets)

    @abc.abstractmethod
    def per_row(self, similarities, targets):
        """Losses (B,) whose plain mean is the loss; rows of `targets` that are all 0 take no part."""

    def get_config(self):
        """Constructor arguments, including the dtype, which Keras leaves out."""
        return {**super().get_config(), "ignore_id": self.ignore_id, "dtype": self.dtype}


def own_similarity(similarities, targets):
    """Similarity (B,) of each row with its own class; 0 for rows without one."""
    return ops.sum(ops.where(targets > 0, similarities, 0.0), axis=1)


def softmax_loss(own, logits, targets):
    """Cross-entropy with `own` (B,) in the place of the own class's logit, for losses with a margin.

        log(1 + Σ_{j ≠ y} exp(logit_j − own))

    Args:
        own: logit of the own class, (B,).
        logits: of all classes, (B, C); the own class's is not looked at.
        targets: one-hot (B, C); rows of zeros get 0 and leave the denominator.

    Returns:
        Losses (B,) whose plain mean is the mean over the rows that have a class.
    """
    # This form has no difference of two large numbers, so that a nearly solved row keeps its digits.
    values = log_one_plus_sum_exp(logits - own[:, None], 1.0 - targets)
    return mean_over_anchors(values, ops.sum(targets, axis=1))
