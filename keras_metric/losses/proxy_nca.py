"""Proxy-NCA loss."""

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.losses.proxy_base import ProxyLoss, own_similarity, softmax_loss


def proxy_nca(similarities, targets, scale=8.0):
    """Neighbourhood component analysis against proxies.

        loss = −log softmax over classes of −γ (2 − 2 s), at the own class

    where 2 − 2 s is the squared distance of unit vectors.

    Args:
        similarities: cosines to class proxies, shape (batch, classes).
        targets: one-hot classes of the same shape.
        scale: γ > 0.

    Returns:
        Losses of shape (batch,). Rows without a class give 0 and do not count.

    References:
        Teh, DeVries and Taylor, "ProxyNCA++: Revisiting and Revitalizing Proxy Neighborhood Component Analysis",
        ECCV 2020, arXiv:2004.01113: the own proxy is in the denominator, unlike in Movshovitz-Attias et al.,
        ICCV 2017, arXiv:1703.07464.
    """
    logits = -scale * (2.0 - 2.0 * similarities)
    return softmax_loss(own_similarity(logits, targets), logits, targets)


@LOSSES.register("proxy_nca")
class ProxyNCALoss(ProxyLoss):
    """`proxy_nca` on class proxies.

    Inputs: `y_true` class ids (batch,) from 0 to C − 1, `y_pred` cosines (batch, C) of `layers.ProxySimilarity`.

    Args:
        scale: see `proxy_nca`.
        ignore_id, reduction, name, dtype: as in `ProxyLoss`.
    """

    def __init__(self, scale=8.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = checks.number(scale, "scale", "ProxyNCALoss", above=0)

    def per_row(self, similarities, targets):
        """Losses (B,)."""
        return proxy_nca(similarities, targets, self.scale)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "scale": self.scale}
