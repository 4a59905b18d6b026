"""Soft nearest neighbour loss."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.masked import any_weight, log_sum_exp


def soft_nearest_neighbor(distances, pairs, temperature=1.0):
    """Raises the probability that a neighbour, drawn by closeness, is of the anchor's class.

        loss[a] = lse_{j in P(a) ∪ N(a)} (−d_aj / T) − lse_{p in P(a)} (−d_ap / T)

    computed as softplus(lse_N − lse_P), which loses no digits where a class is far from all others.

    Args:
        distances: shape (batch, references).
        pairs: `Pairs` of weights, each of shape (batch, references).
        temperature: T > 0, in units of the distance.

    Returns:
        Losses of shape (batch,). Anchors without a positive give 0 and do not count.

    References:
        Frosst, Papernot and Hinton, "Analyzing and Improving Representations with the Soft Nearest Neighbor Loss", ICML
        2019, arXiv:1902.01889, equation 1. With T = 1 it is Neighbourhood Components Analysis in its logarithmic form:
        Goldberger et al., NIPS 2004, section 2.
    """
    logits = -distances / temperature
    near, far = (log_sum_exp(logits, pairs.positives), log_sum_exp(logits, pairs.negatives))
    return mean_over_anchors(ops.softplus(far - near), any_weight(pairs.positives))


@LOSSES.register("soft_nearest_neighbor")
class SoftNearestNeighborLoss(EmbeddingLoss):
    """`soft_nearest_neighbor` between the embeddings of a batch; also known as NCA.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions); batches with 2 or more examples of
    a class (`data.pk_batches`).

    Args:
        temperature: see `soft_nearest_neighbor`. With normalised embeddings squared distances end at 4: try 0.1.
        distance: name or `Distance`.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Differs from other libraries: the temperature is a constant (the paper learns it), and anchors without a positive
    leave the mean.
    """

    def __init__(self, temperature=1.0, distance: str | Distance = "squared_euclidean", **kwargs):
        super().__init__(distance, **kwargs)
        owner = "SoftNearestNeighborLoss"
        self.temperature = checks.number(temperature, "temperature", owner, above=0)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        return soft_nearest_neighbor(distances, all_pairs(relations), self.temperature)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "temperature": self.temperature}
