"""Margin loss."""

import typing

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners import Miner
from keras_metric.tensors.averaging import mean_over_terms


def margin_loss(distances, pairs, margin=0.2, boundary: typing.Any = 1.2):
    """Keeps positives within a boundary and negatives beyond it, by a margin on both sides.

        mean over the active terms of both kinds of    [d_ap − β + m]+    and    [β − d_an + m]+

    Args:
        distances: shape (batch, references).
        pairs: `Pairs` of weights, each of shape (batch, references).
        margin: m >= 0, in units of the distance.
        boundary: β, a number, or a tensor that broadcasts to (batch, references), such as (batch, 1) of learned
            boundaries by class; its gradient is the paper's without the regulariser.

    Returns:
        Losses of shape (batch,), whose mean is the weighted mean over active terms. Each ordered pair counts once.

    References:
        Wu et al., "Sampling Matters in Deep Embedding Learning", ICCV 2017, arXiv:1706.07567, equation 5
        and section 4.2.
    """
    beyond = distances - boundary
    pull = ops.relu(beyond + margin)
    push = ops.relu(margin - beyond)
    sums = ops.sum(pairs.positives * pull + pairs.negatives * push, axis=1)
    active = ops.where(pull > 0, pairs.positives, 0.0) + ops.where(push > 0, pairs.negatives, 0.0)
    return mean_over_terms(sums, ops.sum(active, axis=1))


@LOSSES.register("margin")
class MarginLoss(EmbeddingLoss):
    """`margin_loss` between the embeddings of a batch, with one fixed boundary.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions), normalised for the default boundary;
    batches with 2 or more examples of a class (`data.pk_batches`).

    Args:
        margin: see `margin_loss`.
        boundary: β > 0, in units of the distance.
        distance: name or `Distance`.
        miner: name or `Miner`; `"distance_weighted"` is the paper's, as expected weights instead of random draws.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Differs from the paper: β is fixed; `layers.LearnedBoundary` learns one for each class.
    """

    def __init__(
        self,
        margin=0.2,
        boundary=1.2,
        distance: str | Distance = "euclidean",
        miner: str | Miner = "distance_weighted",
        **kwargs,
    ):
        super().__init__(distance, miner, **kwargs)
        self.margin = checks.number(margin, "margin", "MarginLoss", at_least=0)
        self.boundary = checks.number(boundary, "boundary", "MarginLoss", above=0)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        pairs = self.mine_pairs(distances, relations, rows)
        return margin_loss(distances, pairs, self.margin, self.boundary)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "margin": self.margin, "boundary": self.boundary}
