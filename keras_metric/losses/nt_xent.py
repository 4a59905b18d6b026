"""Normalised temperature-scaled cross-entropy (NT-Xent)."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_terms
from keras_metric.tensors.masked import any_weight, log_sum_exp


def nt_xent(similarities, pairs, temperature=0.07):
    """Makes each positive more similar than all negatives of its anchor together.

        term[a, p] = log(1 + exp(lse_{n in N(a)} s_an / τ − s_ap / τ)),    mean over positive pairs

    which is −log softmax of the positive among itself and the negatives, without underflow at any temperature.

    Args:
        similarities: shape (batch, references).
        pairs: `Pairs` of weights, each of shape (batch, references).
        temperature: τ > 0.

    Returns:
        Losses of shape (batch,). Anchors without a positive or without a negative give 0 and do not count.

    References:
        Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
        arXiv:2002.05709, equation 1. Differs from it with several positives: the other positives of an anchor are
        not in the denominator.
    """
    logits = similarities / temperature
    against = log_sum_exp(logits, pairs.negatives)[:, None]
    # Without a negative `against` is −LARGE and the term exactly 0; such an anchor's pairs do not count either.
    sums = ops.sum(pairs.positives * ops.softplus(against - logits), axis=1)
    counts = ops.sum(pairs.positives, axis=1) * any_weight(pairs.negatives)
    return mean_over_terms(sums, counts)


@LOSSES.register("nt_xent")
class NTXentLoss(EmbeddingLoss):
    """`nt_xent` between the embeddings of a batch.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions). With `data.two_views` it is SimCLR;
    with `data.pk_batches` it is supervised.

    Args:
        temperature: see `nt_xent`; smaller looks at harder negatives. 0.05 to 0.5.
        distance: name or `Distance`; its similarity is used.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    See also: `SupConLoss` keeps the other positives in the denominator; `InfoNCELoss` for two towers.
    """

    def __init__(self, temperature=0.07, distance: str | Distance = "cosine", **kwargs):
        super().__init__(distance, **kwargs)
        self.temperature = checks.number(temperature, "temperature", "NTXentLoss", above=0)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        similarities = self.distance.similarity(distances)
        return nt_xent(similarities, all_pairs(relations), self.temperature)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "temperature": self.temperature}
