"""ArcFace loss."""

import math

from keras import ops

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.losses.proxy_base import ProxyLoss, own_similarity, softmax_loss
from keras_metric.tensors.numerics import epsilon, safe_sqrt


def arc_face(similarities, targets, margin=0.5, scale=64.0):
    """Cross-entropy that wants the angle to the own class smaller by a margin.

        logit_y = γ cos(θ_y + m)        if θ_y + m <= π, else γ (cos θ_y − m sin m)
        logit_j = γ cos θ_j             for the other classes

    Args:
        similarities: cosines to class proxies, shape (batch, classes).
        targets: one-hot classes of the same shape.
        margin: m in radians, 0 <= m < π.
        scale: γ > 0.

    Returns:
        Losses of shape (batch,), with finite values and gradients at cosines of ±1 too. Rows without a class give
        0 and do not count.

    References:
        Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, arXiv:1801.07698,
        equation 3; beyond π, the authors' code.
    """
    cosine = own_similarity(similarities, targets)
    moved = cosine_after_turn(cosine, math.cos(margin), math.sin(margin))
    beyond = cosine - margin * math.sin(margin)
    own = ops.where(cosine >= -math.cos(margin), moved, beyond)
    return softmax_loss(scale * own, scale * similarities, targets)


def cosine_after_turn(cosine, cos_turn, sin_turn):
    """cos(θ + turn) from cos θ, without an arc cosine: its slope at ±1 is infinite; here the sine is then 0."""
    sine = safe_sqrt(1.0 - cosine * cosine, floor=4 * epsilon(cosine))
    return cosine * cos_turn - sine * sin_turn


@LOSSES.register("arc_face")
class ArcFaceLoss(ProxyLoss):
    """`arc_face` on class proxies.

    Inputs: `y_true` class ids (batch,) from 0 to C − 1, `y_pred` cosines (batch, C) of `layers.ProxySimilarity`; with
    `centers_per_class=3` it is sub-centre ArcFace, for noisy labels.

    Args:
        margin, scale: see `arc_face`. With few classes, or images seen from scratch, begin with less: 0.2 and 16.
        ignore_id, reduction, name, dtype: as in `ProxyLoss`.

    See also: `AdaFaceLoss` fits the margin to the quality of each image.
    """

    def __init__(self, margin=0.5, scale=64.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = checks.number(margin, "margin", "ArcFaceLoss", at_least=0, below=math.pi)
        self.scale = checks.number(scale, "scale", "ArcFaceLoss", above=0)

    def per_row(self, similarities, targets):
        """Losses (B,)."""
        return arc_face(similarities, targets, self.margin, self.scale)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "margin": self.margin, "scale": self.scale}
