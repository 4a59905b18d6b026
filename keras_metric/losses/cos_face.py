"""CosFace loss."""

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.losses.proxy_base import ProxyLoss, own_similarity, softmax_loss


def cos_face(similarities, targets, margin=0.35, scale=64.0):
    """Cross-entropy that wants the cosine to the own class larger by a margin.

        logit_y = γ (cos θ_y − m),    logit_j = γ cos θ_j

    Args:
        similarities: cosines to class proxies, shape (batch, classes).
        targets: one-hot classes of the same shape.
        margin: m >= 0, a difference of cosines.
        scale: γ > 0.

    Returns:
        Losses of shape (batch,). Rows without a class give 0 and do not count.

    References:
        Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018, arXiv:1801.09414,
        equation 4.
    """
    own = own_similarity(similarities, targets) - margin
    return softmax_loss(scale * own, scale * similarities, targets)


@LOSSES.register("cos_face")
class CosFaceLoss(ProxyLoss):
    """`cos_face` on class proxies.

    Inputs: `y_true` class ids (batch,) from 0 to C − 1, `y_pred` cosines (batch, C) of `layers.ProxySimilarity`.

    Args:
        margin, scale: see `cos_face`.
        ignore_id, reduction, name, dtype: as in `ProxyLoss`.
    """

    def __init__(self, margin=0.35, scale=64.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = checks.number(margin, "margin", "CosFaceLoss", at_least=0)
        self.scale = checks.number(scale, "scale", "CosFaceLoss", above=0)

    def per_row(self, similarities, targets):
        """Losses (B,)."""
        return cos_face(similarities, targets, self.margin, self.scale)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "margin": self.margin, "scale": self.scale}
