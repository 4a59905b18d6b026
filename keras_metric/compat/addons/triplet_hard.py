"""`TripletHardLoss` of TensorFlow Addons."""

from collections.abc import Callable

from keras_metric import checks
from keras_metric.compat.addons.distance_metric import as_distance_metric, saved_distance_metric
from keras_metric.compat.addons.saving import as_reduction, register
from keras_metric.losses import TripletLoss


def triplet_hard_loss(
    y_true, y_pred, margin=1.0, soft=False, distance_metric: str | Callable = "L2"
):
    """Scalar of `TripletHardLoss(margin, soft, distance_metric)`."""
    return TripletHardLoss(margin, soft, distance_metric)(y_true, y_pred)


@register
class TripletHardLoss(TripletLoss):
    """Mean over anchors of the hinge between the farthest positive and the nearest negative.

        [max d_ap − min d_an + margin]+,   or, if soft, log(1 + exp(max d_ap − min d_an))

    Inputs: `y_true` class ids (batch,) or (batch, 1), `y_pred` embeddings (batch, dimensions).

    Args:
        margin: >= 0, in units of the distance; not used if `soft`.
        soft: use the soft margin.
        distance_metric: as in `TripletSemiHardLoss`.
        name: name of the loss.
        reduction, dtype, relation, ignore_id: as in `losses.TripletLoss`.

    Equal to `losses.TripletLoss(None if soft else margin, distance, miner="hardest", averaging="terms")`, which is the
    class for new code. Equal to Addons where every class of the batch has two examples; there an anchor without a
    positive counts with a positive distance of 0, and pushes its nearest negative away. Here it is left out.

    References:
        Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017,
        arXiv:1703.07737, equation 5.
    """

    def __init__(
        self,
        margin=1.0,
        soft=False,
        distance_metric: str | Callable = "L2",
        name=None,
        reduction: str | None = "sum_over_batch_size",
        **kwargs,
    ):
        owner = "TripletHardLoss"
        self.distance_metric, distance = as_distance_metric(distance_metric, owner)
        self.hinge_margin = checks.number(margin, "margin", owner, at_least=0)
        self.soft = bool(soft)
        super().__init__(
            None if soft else margin,
            distance,
            miner="hardest",
            averaging="terms",
            name=name or "triplet_hard_loss",
            reduction=as_reduction(reduction),
            **kwargs,
        )

    def get_config(self):
        """Constructor arguments."""
        config = super().get_config()
        for fixed in ("distance", "miner", "swap", "averaging"):
            del config[fixed]
        metric = saved_distance_metric(self.distance_metric, "TripletHardLoss")
        own = {"margin": self.hinge_margin, "soft": self.soft, "distance_metric": metric}
        return {**config, **own}
