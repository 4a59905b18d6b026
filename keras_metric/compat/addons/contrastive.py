"""`ContrastiveLoss` of TensorFlow Addons."""

from keras_metric.compat.addons.saving import as_reduction, register
from keras_metric.losses import SiameseContrastiveLoss


def contrastive_loss(y_true, y_pred, margin=1.0):
    """Losses (batch,) of `ContrastiveLoss(margin)`, one for each pair."""
    return ContrastiveLoss(margin, reduction="none")(y_true, y_pred)


@register
class ContrastiveLoss(SiameseContrastiveLoss):
    """Contrastive loss of given pairs: y d² + (1 − y) [margin − d]+².

    Inputs: `y_true` 1 = same, 0 = different, `y_pred` distances; either of shape (batch,) or (batch, 1).

    Args:
        margin: >= 0, in units of the distance.
        reduction: as for every Keras loss.
        name: name of the loss.
        dtype: as for every Keras loss.

    The same as `losses.SiameseContrastiveLoss`, which is the class for new code; not `losses.ContrastiveLoss`, which
    makes the pairs from class ids. Addons broadcasts (batch,) against (batch, 1) to all batch² pairs without
    a word; here both are the same batch of pairs.

    References:
        Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006, equation 4,
        without its factor ½ and with y = 1 for pairs of the same.
    """

    def __init__(
        self,
        margin=1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "contrastive_loss",
        dtype=None,
    ):
        super().__init__(margin, as_reduction(reduction), name or "contrastive_loss", dtype)
