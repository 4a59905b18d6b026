"""Normalised softmax loss."""

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.losses.proxy_base import ProxyLoss, own_similarity, softmax_loss


def normalized_softmax(similarities, targets, temperature=0.05):
    """Cross-entropy of cosines over a temperature.

        loss = −log softmax(s / τ)[y]

    Args:
        similarities: cosines to class proxies, shape (batch, classes).
        targets: one-hot classes of the same shape.
        temperature: τ > 0.

    Returns:
        Losses of shape (batch,). Rows without a class give 0 and do not count.

    References:
        Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning", BMVC 2019, arXiv:1811.12649.
    """
    logits = similarities / temperature
    return softmax_loss(own_similarity(logits, targets), logits, targets)


@LOSSES.register("normalized_softmax")
class NormalizedSoftmaxLoss(ProxyLoss):
    """`normalized_softmax` on class proxies: the plainest of the proxy losses, and a strong one.

    Inputs: `y_true` class ids (batch,) from 0 to C − 1, `y_pred` cosines (batch, C) of `layers.ProxySimilarity`. Any
    batches will do.

    Args:
        temperature: see `normalized_softmax`.
        ignore_id, reduction, name, dtype: as in `ProxyLoss`.

    See also: `CosFaceLoss` and `ArcFaceLoss` add a margin.
    """

    def __init__(self, temperature=0.05, **kwargs):
        super().__init__(**kwargs)
        self.temperature = checks.number(
            temperature, "temperature", "NormalizedSoftmaxLoss", above=0
        )

    def per_row(self, similarities, targets):
        """Losses (B,)."""
        return normalized_softmax(similarities, targets, self.temperature)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "temperature": self.temperature}
