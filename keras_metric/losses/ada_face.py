"""AdaFace loss."""

import math

from keras import ops

from keras_metric import checks
from keras_metric.losses.arc_face import cosine_after_turn
from keras_metric.losses.base import LOSSES
from keras_metric.losses.proxy_base import ProxyLoss, own_similarity, softmax_loss


def ada_face(similarities, norms, targets, margin=0.4, h=0.333, scale=64.0):
    """Cross-entropy with a margin that suits the quality of each image, of which the feature norm is a measure.

        ẑ = clip((|x| − mean) / (deviation / h), −1, 1),    over the batch
        logit_y = γ (cos(θ_y − m ẑ) − (m ẑ + m)),    logit_j = γ cos θ_j,    θ_y − m ẑ kept in [0, π]

    Args:
        similarities: cosines to class proxies, shape (batch, classes).
        norms: lengths of the embeddings before they were normalised, shape (batch,); no gradient goes there.
        targets: one-hot classes, (batch, classes); rows of zeros take no part, nor do their norms.
        margin: m in radians and in units of the cosine, 0 <= m < π.
        h: concentration of ẑ, > 0.
        scale: γ > 0.

    Returns:
        Losses of shape (batch,). Rows without a class give 0 and do not count.

    References:
        Kim, Jain and Liu, "AdaFace: Quality Adaptive Margin for Face Recognition", CVPR 2022, arXiv:2204.00964,
        section 3. Differs from the authors' code: mean and (population) deviation are those of the batch rather than
        running averages.
    """
    quality = _quality(ops.stop_gradient(norms), ops.sum(targets, axis=1), h)
    turn = -margin * quality
    cosine = own_similarity(similarities, targets)
    cos_turn = ops.cos(turn)
    moved = cosine_after_turn(cosine, cos_turn, ops.sin(turn))
    too_far = ops.logical_and(turn > 0, cosine < -cos_turn)
    too_near = ops.logical_and(turn < 0, cosine > cos_turn)
    moved = ops.where(too_far, -1.0, ops.where(too_near, 1.0, moved))
    own = moved - (margin * quality + margin)
    return softmax_loss(scale * own, scale * similarities, targets)


def _quality(norms, valid, h):
    count = ops.maximum(ops.sum(valid), 1.0)
    mean = ops.sum(valid * norms) / count
    offset = norms - mean
    deviation = ops.sqrt(ops.sum(valid * offset * offset) / count)
    # Norms that differ by rounding only are all of the same quality.
    differ = deviation > 1e-5 * ops.abs(mean)
    scaled = h * offset / ops.where(differ, deviation, 1.0)
    return ops.where(differ, ops.clip(scaled, -1.0, 1.0), 0.0)


@LOSSES.register("ada_face")
class AdaFaceLoss(ProxyLoss):
    """`ada_face` on class proxies.

    Inputs: `y_true` class ids (batch,) from 0 to C − 1, `y_pred` (batch, C + 1): cosines, then the norms, as
    `layers.ProxySimilarity(C, return_norms=True)` gives them. The encoder must not normalise its embeddings.

    Args:
        margin, h, scale: see `ada_face`.
        ignore_id, reduction, name, dtype: as in `ProxyLoss`.
    """

    extra_columns = 1

    def __init__(self, margin=0.4, h=0.333, scale=64.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = checks.number(margin, "margin", "AdaFaceLoss", at_least=0, below=math.pi)
        self.h = checks.number(h, "h", "AdaFaceLoss", above=0)
        self.scale = checks.number(scale, "scale", "AdaFaceLoss", above=0)

    def per_row(self, similarities, targets):
        """Losses (B,) of cosines with the norms in the last column."""
        cosines, norms = similarities[:, :-1], similarities[:, -1]
        return ada_face(cosines, norms, targets, self.margin, self.h, self.scale)

    def get_config(self):
        """Constructor arguments."""
        own = {"margin": self.margin, "h": self.h, "scale": self.scale}
        return {**super().get_config(), **own}
