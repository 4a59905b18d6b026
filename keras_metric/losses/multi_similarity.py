"""Multi-similarity loss."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners import Miner
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.masked import log_one_plus_sum_exp


def multi_similarity(similarities, pairs, alpha=2.0, beta=50.0, base=0.5):
    """Pulls positives above a similarity and pushes negatives below it, the hardest most.

        loss[a] = log(1 + Σ_p exp(−α (s_ap − λ))) / α + log(1 + Σ_n exp(β (s_an − λ))) / β

    Args:
        similarities: shape (batch, references), in [−1, 1].
        pairs: `Pairs` of weights, each of shape (batch, references); a weight multiplies its exponential.
        alpha: α > 0, steepness for positives.
        beta: β > 0, steepness for negatives.
        base: λ in [−1, 1], the similarity that parts positives from negatives.

    Returns:
        Losses of shape (batch,). Anchors without any pair, after mining, give 0 and do not count.

    References:
        Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning", CVPR 2019,
        arXiv:1904.06627, equation 15.
    """
    centered = similarities - base
    pull = log_one_plus_sum_exp(-alpha * centered, pairs.positives) / alpha
    push = log_one_plus_sum_exp(beta * centered, pairs.negatives) / beta
    return mean_over_anchors(pull + push, ops.sum(pairs.positives + pairs.negatives, axis=1))


@LOSSES.register("multi_similarity")
class MultiSimilarityLoss(EmbeddingLoss):
    """`multi_similarity` between the embeddings of a batch.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions); batches with 2 or more examples of
    a class (`data.pk_batches`).

    Args:
        alpha, beta, base: see `multi_similarity`.
        distance: name or `Distance` with a bounded similarity ("cosine", "angular").
        miner: name or `Miner`.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Differs from the authors' code and from pytorch-metric-learning: the mean is over the anchors that keep a pair after
    mining, not over the batch, and the miner is part of the loss, as in the paper. `miner="all"` takes every pair.

    See also: `CircleLoss` weighs each pair by its own distance from the goal.
    """

    needs_bounded_similarity = True

    def __init__(
        self,
        alpha=2.0,
        beta=50.0,
        base=0.5,
        distance: str | Distance = "cosine",
        miner: str | Miner = "multi_similarity",
        **kwargs,
    ):
        super().__init__(distance, miner, **kwargs)
        owner = "MultiSimilarityLoss"
        self.alpha = checks.number(alpha, "alpha", owner, above=0)
        self.beta = checks.number(beta, "beta", owner, above=0)
        self.base = checks.number(base, "base", owner, at_least=-1, at_most=1)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        pairs = self.mine_pairs(distances, relations, rows)
        similarities = self.distance.similarity(distances)
        return multi_similarity(similarities, pairs, self.alpha, self.beta, self.base)

    def get_config(self):
        """Constructor arguments."""
        own = {"alpha": self.alpha, "beta": self.beta, "base": self.base}
        return {**super().get_config(), **own}
