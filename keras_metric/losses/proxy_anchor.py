"""Proxy-Anchor loss."""

from keras import ops

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.losses.proxy_base import ProxyLoss
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.masked import any_weight, log_one_plus_sum_exp


def proxy_anchor(similarities, targets, margin=0.1, scale=32.0):
    """Each proxy is an anchor: it pulls its hardest rows and pushes the hardest others.

          mean over proxies with a positive of    log(1 + Σ_{x in class} exp(−α (s − δ)))
        + mean over all proxies of                log(1 + Σ_{x not in class} exp(α (s + δ)))

    Args:
        similarities: cosines to class proxies, shape (batch, classes).
        targets: one-hot classes of the same shape; rows of zeros take no part.
        margin: δ >= 0, a difference of cosines.
        scale: α > 0.

    Returns:
        The loss, in each row that has a class, of shape (batch,), so that the plain mean is the loss.

    References:
        Kim et al., "Proxy Anchor Loss for Deep Metric Learning", CVPR 2020, arXiv:2003.13911, equation 4.
    """
    valid = ops.sum(targets, axis=1)  # (B,)
    positives = ops.transpose(targets)  # (C, B)
    negatives = valid[None, :] - positives
    columns = ops.transpose(similarities)
    pull = log_one_plus_sum_exp(-scale * (columns - margin), positives)  # (C,)
    push = log_one_plus_sum_exp(scale * (columns + margin), negatives)
    present = any_weight(positives)
    loss = ops.sum(pull) / ops.maximum(ops.sum(present), 1.0) + ops.mean(push)
    return mean_over_anchors(loss * ops.ones_like(valid), valid)


@LOSSES.register("proxy_anchor")
class ProxyAnchorLoss(ProxyLoss):
    """`proxy_anchor` on class proxies: fast to converge, and it looks at the rows of a batch together.

    Inputs: `y_true` class ids (batch,) from 0 to C − 1, `y_pred` cosines (batch, C) of `layers.ProxySimilarity`. The
    proxies want a larger step than the encoder: `learning_rate_multiplier=100` there.

    Args:
        margin, scale: see `proxy_anchor`.
        ignore_id, reduction, name, dtype: as in `ProxyLoss`.
    """

    def __init__(self, margin=0.1, scale=32.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = checks.number(margin, "margin", "ProxyAnchorLoss", at_least=0)
        self.scale = checks.number(scale, "scale", "ProxyAnchorLoss", above=0)

    def per_row(self, similarities, targets):
        """Losses (B,)."""
        return proxy_anchor(similarities, targets, self.margin, self.scale)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "margin": self.margin, "scale": self.scale}
