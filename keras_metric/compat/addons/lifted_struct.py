"""`LiftedStructLoss` of TensorFlow Addons."""

from keras_metric.compat.addons.saving import as_reduction, register
from keras_metric.losses import LiftedStructureLoss


def lifted_struct_loss(labels, embeddings, margin=1.0):
    """Scalar of `LiftedStructLoss(margin)`; its arguments have these names in Addons too."""
    return LiftedStructLoss(margin)(labels, embeddings)


@register
class LiftedStructLoss(LiftedStructureLoss):
    """Lifted structure loss with the Euclidean distance.

    Inputs: `y_true` class ids (batch,) or (batch, 1), `y_pred` embeddings (batch, dimensions).

    Args:
        margin: >= 0, in units of the distance.
        name: name of the loss.
        reduction, dtype, relation, ignore_id: as in `losses.LiftedStructureLoss`.

    Equal to `losses.LiftedStructureLoss(margin)`, which is the class for new code and states the formula.
    """

    def __init__(
        self, margin=1.0, name=None, reduction: str | None = "sum_over_batch_size", **kwargs
    ):
        super().__init__(
            margin,
            distance="euclidean",
            name=name or "lifted_struct_loss",
            reduction=as_reduction(reduction),
            **kwargs,
        )

    def get_config(self):
        """Constructor arguments."""
        config = super().get_config()
        del config["distance"]
        return config
