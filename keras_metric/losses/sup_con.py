"""Supervised contrastive loss."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.masked import log_sum_exp


def sup_con(similarities, pairs, temperature=0.1):
    """Makes all positives of an anchor likely among everything else in the batch.

        loss[a] = lse_{j in P(a) ∪ N(a)} s_aj / τ − mean_{p in P(a)} s_ap / τ

    which is −mean_p log softmax_j(s_aj / τ)[p], in logarithms throughout.

    Args:
        similarities: shape (batch, references).
        pairs: `Pairs` of weights, each of shape (batch, references).
        temperature: τ > 0.

    Returns:
        Losses of shape (batch,). Anchors without a positive give 0 and do not count.

    References:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, arXiv:2004.11362, equation 2 (the mean outside
        the logarithm).
    """
    logits = similarities / temperature
    count = ops.sum(pairs.positives, axis=1)
    mean = ops.sum(pairs.positives * logits, axis=1) / ops.maximum(count, 1.0)
    return mean_over_anchors(log_sum_exp(logits, pairs.positives + pairs.negatives) - mean, count)


@LOSSES.register("sup_con")
class SupConLoss(EmbeddingLoss):
    """`sup_con` between the embeddings of a batch.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions); batches with 2 or more examples of
    a class (`data.pk_batches`), or two views of each (`data.two_views`).

    Args:
        temperature: see `sup_con`; 0.05 to 0.5.
        distance: name or `Distance`; its similarity is used.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Differs from the authors' code: no factor of temperature over base temperature, and an anchor without a positive
    leaves the mean instead of adding 0 to it or giving NaN.

    See also: `NTXentLoss` leaves the other positives out of the denominator.
    """

    def __init__(self, temperature=0.1, distance: str | Distance = "cosine", **kwargs):
        super().__init__(distance, **kwargs)
        self.temperature = checks.number(temperature, "temperature", "SupConLoss", above=0)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        similarities = self.distance.similarity(distances)
        return sup_con(similarities, all_pairs(relations), self.temperature)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "temperature": self.temperature}
