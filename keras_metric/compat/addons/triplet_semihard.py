"""`TripletSemiHardLoss` of TensorFlow Addons."""

from collections.abc import Callable

from keras_metric.compat.addons.distance_metric import as_distance_metric, saved_distance_metric
from keras_metric.compat.addons.saving import as_reduction, register
from keras_metric.losses import TripletLoss


def triplet_semihard_loss(y_true, y_pred, margin=1.0, distance_metric: str | Callable = "L2"):
    """Scalar of `TripletSemiHardLoss(margin, distance_metric)`."""
    return TripletSemiHardLoss(margin, distance_metric)(y_true, y_pred)


@register
class TripletSemiHardLoss(TripletLoss):
    """Mean hinge of every positive pair against its semi-hard negative.

        [d_ap − d_an + margin]+,   d_an the nearest negative beyond d_ap, or, if there is none, the farthest

    Inputs: `y_true` class ids (batch,) or (batch, 1), `y_pred` embeddings (batch, dimensions).

    Args:
        margin: >= 0, in units of the distance.
        distance_metric: "L2", "squared-L2", "angular" (1 − cosine), or a function on `keras.ops` from embeddings to
            distances (batch, batch), saved by its registered name. Its gradient must be finite on the diagonal too.
        name: name of the loss.
        reduction, dtype, relation, ignore_id: as in `losses.TripletLoss`.

    Equal to `losses.TripletLoss(margin, distance, miner="semi_hard", averaging="terms")`, which is the class for new
    code. Differs from Addons as `keras_metric.compat.addons` says: a batch without a triplet gives 0 (there: NaN, or a
    loss without negatives), and memory is O(B²) instead of O(B³).

    References:
        Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering", CVPR
        2015, arXiv:1503.03832, equations 2 and 4.
    """

    def __init__(
        self,
        margin=1.0,
        distance_metric: str | Callable = "L2",
        name=None,
        reduction: str | None = "sum_over_batch_size",
        **kwargs,
    ):
        self.distance_metric, distance = as_distance_metric(distance_metric, "TripletSemiHardLoss")
        super().__init__(
            margin,
            distance,
            miner="semi_hard",
            averaging="terms",
            name=name or "triplet_semihard_loss",
            reduction=as_reduction(reduction),
            **kwargs,
        )

    def get_config(self):
        """Constructor arguments."""
        config = super().get_config()
        for fixed in ("distance", "miner", "swap", "averaging"):
            del config[fixed]
        metric = saved_distance_metric(self.distance_metric, "TripletSemiHardLoss")
        return {**config, "distance_metric": metric}
