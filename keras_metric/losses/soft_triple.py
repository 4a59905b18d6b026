"""SoftTriple loss."""

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.losses.cos_face import cos_face
from keras_metric.losses.proxy_base import ProxyLoss


def soft_triple(similarities, targets, margin=0.01, scale=20.0):
    """Cross-entropy with a margin on softly pooled centres.

        logit_y = λ (S_y − δ),    logit_j = λ S_j,    S_c = Σ_k softmax_k(cos(x, p_ck) / γ) cos(x, p_ck)

    S is pooled by `layers.ProxySimilarity(…, centers_per_class=K, pooling="soft", gamma=γ)`.

    Args:
        similarities: S, shape (batch, classes).
        targets: one-hot classes of the same shape.
        margin: δ >= 0, a difference of similarities.
        scale: λ > 0.

    Returns:
        Losses of shape (batch,). Rows without a class give 0 and do not count.

    References:
        Qian et al., "SoftTriple Loss: Deep Metric Learning Without Triplet Sampling", ICCV 2019, arXiv:1909.05235;
        without the regulariser that merges centres.
    """
    return cos_face(similarities, targets, margin, scale)


@LOSSES.register("soft_triple")
class SoftTripleLoss(ProxyLoss):
    """`soft_triple` on classes with several centres.

    Inputs: `y_true` class ids (batch,) from 0 to C − 1, `y_pred` (batch, C) of
    `layers.ProxySimilarity(C, centers_per_class=K, pooling="soft")`.

    Args:
        margin, scale: see `soft_triple`.
        gamma: γ > 0 of the pooling; the layer pools with its own `gamma`, so this one only says what the loss was
            meant for.
        ignore_id, reduction, name, dtype: as in `ProxyLoss`.
    """

    def __init__(self, margin=0.01, scale=20.0, gamma=0.1, **kwargs):
        super().__init__(**kwargs)
        self.margin = checks.number(margin, "margin", "SoftTripleLoss", at_least=0)
        self.scale = checks.number(scale, "scale", "SoftTripleLoss", above=0)
        self.gamma = checks.number(gamma, "gamma", "SoftTripleLoss", above=0)

    def per_row(self, similarities, targets):
        """Losses (B,)."""
        return soft_triple(similarities, targets, self.margin, self.scale)

    def get_config(self):
        """Constructor arguments."""
        own = {"margin": self.margin, "scale": self.scale, "gamma": self.gamma}
        return {**super().get_config(), **own}
