"""Contrastive loss of given pairs."""

import keras
from keras import ops

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.tensors.numerics import as_float
from keras_metric.tensors.refusals import refuse_values


def siamese_contrastive(same, distances, margin=1.0):
    """Pulls pairs of the same together and pushes others beyond a margin.

        loss = y d² + (1 − y) [m − d]+²

    Args:
        same: shape (batch,), 1 for same and 0 for different.
        distances: shape (batch,).
        margin: m >= 0, in units of the distance.

    Returns:
        Losses of shape (batch,).

    References:
        Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006, equation 4,
        without its factor ½ and with y = 1 for pairs of the same.
    """
    hinge = ops.relu(margin - distances)
    return same * distances * distances + (1.0 - same) * hinge * hinge


@LOSSES.register("siamese_contrastive")
class SiameseContrastiveLoss(keras.losses.Loss):
    """`siamese_contrastive` on the distances that `models.siamese_pair` gives.

    Inputs: `y_true` 1 = same, 0 = different, `y_pred` distances; either of shape (batch,) or (batch, 1).

    Args:
        margin: see `siamese_contrastive`.
        reduction, name, dtype: as for every Keras loss.

    Equal to TensorFlow Addons' `ContrastiveLoss` in value.

    See also: `ContrastiveLoss` makes the pairs of a batch itself, from class ids.
    """

    def __init__(
        self, margin=1.0, reduction: str | None = "sum_over_batch_size", name=None, dtype=None
    ):
        super().__init__(name=name or "siamese_contrastive", reduction=reduction, dtype=dtype)
        self.margin = checks.number(margin, "margin", "SiameseContrastiveLoss", at_least=0)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Reduced loss."""
        checks.given(y_true, "y_true", "SiameseContrastiveLoss")
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        """Losses (B,)."""
        owner = "SiameseContrastiveLoss"
        distances = _column(as_float(y_pred), "y_pred")
        same = _column(ops.cast(y_true, distances.dtype), "y_true")
        checks.same_rows(same, "y_true", distances, "y_pred", owner)
        wrong = ops.logical_or(
            same < 0.0, same > 1.0
        )  # −1 for different would pull apart without end
        rule, way_out = "be 1 for same and 0 for different", "For class ids use ContrastiveLoss."
        refuse_values(wrong, same, "y_true", owner, rule, way_out)
        losses = siamese_contrastive(same, distances, self.margin)
        return ops.where(wrong, float("nan"), losses)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "margin": self.margin, "dtype": self.dtype}


def _column(x, argument):
    rank = len(x.shape)
    if rank not in (1, 2) or (rank == 2 and x.shape[1] not in (1, None)):
        checks.fail_shape(
            argument, "SiameseContrastiveLoss", "have the shape (batch,) or (batch, 1)", x,
            "For embeddings and class ids use ContrastiveLoss.",
        )  # fmt: skip
    return ops.reshape(x, (-1,))
