"""The flow of every loss between stacked embeddings of towers, once."""

import abc

import keras
from keras import ops

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.tensors.numerics import as_float, nan_unless_finite


class TowerLoss(keras.losses.Loss, abc.ABC):
    """Base of losses on stacked embeddings `(batch, towers, dimensions)`, as `models.two_tower` gives them.

    A subclass gives `targets`, what the loss needs of `y_true`, and `per_row`.

    Args:
        reduction, name, dtype: as for every Keras loss.
    """

    only_two = False  # whether a third tower would have no meaning

    def __init__(self, reduction: str | None = "sum_over_batch_size", name=None, dtype=None):
        super().__init__(name=name or LOSSES.name_of(self), reduction=reduction, dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Reduced loss; ids are compared before Keras casts `y_true` to float, which merges large ones."""
        owner = type(self).__name__
        towers = as_float(y_pred)
        count = towers.shape[1] if len(towers.shape) == 3 else 0
        if not count or count < 2 or (self.only_two and count > 2):
            number = "2 towers" if self.only_two else "2 towers or more"
            checks.fail_shape(
                "y_pred", owner, f"have the shape (batch, {number}, dimensions)", towers,
                "models.two_tower stacks embeddings so.",
            )  # fmt: skip
        targets = self.targets(y_true, towers)
        checks.same_rows(targets, "y_true", towers, "y_pred", owner)
        mask = getattr(y_pred, "_keras_mask", None)
        if mask is not None:
            towers._keras_mask = mask
        return super().__call__(targets, towers, sample_weight)

    def call(self, targets, towers):
        """Losses (B,) of targets and stacked embeddings (B, T, D)."""
        towers = as_float(towers)
        return self.per_row(towers, ops.cast(targets, towers.dtype)) + nan_unless_finite(towers)

    def targets(self, y_true, towers):
        """What `per_row` needs of `y_true`, one row for each row; nothing, unless overridden."""
        return ops.zeros_like(towers[:, 0, 0])

    @abc.abstractmethod
    def per_row(self, towers, targets):
        """Losses (B,) whose plain mean is the loss."""

    def get_config(self):
        """Constructor arguments, including the dtype, which Keras leaves out."""
        return {**super().get_config(), "dtype": self.dtype}


def graded(y_true, owner):
    """Graded similarities (B,) from (B,) or (B, 1)."""
    checks.given(y_true, "y_true", owner)
    y_true = as_float(y_true)
    if len(y_true.shape) not in (1, 2) or (len(y_true.shape) == 2 and y_true.shape[1] != 1):
        checks.fail_shape(
            "y_true", owner, "be graded similarities of shape (batch,) or (batch, 1)", y_true
        )
    return ops.reshape(y_true, (-1,))
