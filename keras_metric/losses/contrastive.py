"""Contrastive loss between the embeddings of a batch."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners import Miner
from keras_metric.tensors.averaging import average, check_averaging


def contrastive(
    distances, pairs, positive_margin=0.0, negative_margin=1.0, squared=True, averaging="terms"
):
    """Pulls positives within one margin and pushes negatives beyond another.

        mean over positive pairs of [d − m₊]+^q  +  mean over negative pairs of [m₋ − d]+^q,   q = 2 if squared else 1

    Args:
        distances: shape (batch, references).
        pairs: `Pairs` of weights, each of shape (batch, references).
        positive_margin: m₊, >= 0, in units of the distance.
        negative_margin: m₋, >= 0, in units of the distance.
        squared: whether hinges are squared, as in the paper.
        averaging: of each part: `"terms"`, `"active_terms"` or `"anchors"`.

    Returns:
        Losses of shape (batch,). An anchor without any pair gives 0; a batch without positives (or negatives) has only
        the other part.

    References:
        Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006, equation 4,
        without its factor ½.
    """
    # A pair is positive or negative, never both: one matrix holds the hinges of both kinds.
    over = ops.where(pairs.positives > 0, distances - positive_margin, negative_margin - distances)
    hinges = ops.relu(over)
    if squared:
        hinges = ops.square(hinges)
    return _part(hinges, pairs.positives, averaging) + _part(hinges, pairs.negatives, averaging)


def _part(terms, weights, averaging):
    active = None
    if averaging == "active_terms":
        active = ops.sum(ops.where(terms > 0, weights, ops.zeros_like(weights)), axis=1)
    return average(ops.sum(weights * terms, axis=1), ops.sum(weights, axis=1), active, averaging)


@LOSSES.register("contrastive")
class ContrastiveLoss(EmbeddingLoss):
    """`contrastive` over all ordered pairs of a batch, an item with itself left out.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions); batches with 2 or more examples of
    a class (`data.pk_batches`).

    Args:
        positive_margin, negative_margin, squared, averaging: see `contrastive`.
        distance: name or `Distance`.
        miner: name or `Miner`.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Differs from pytorch-metric-learning: hinges are squared, means are over all pairs rather than the active
    ones, and embeddings are taken as they are. `squared=False, averaging="active_terms"` on normalised embeddings
    gives its value.

    See also: `SiameseContrastiveLoss` for the distances of given pairs.
    """

    def __init__(
        self,
        positive_margin=0.0,
        negative_margin=1.0,
        squared=True,
        distance: str | Distance = "euclidean",
        miner: str | Miner = "all",
        averaging="terms",
        **kwargs,
    ):
        super().__init__(distance, miner, **kwargs)
        owner = "ContrastiveLoss"
        self.positive_margin = checks.number(positive_margin, "positive_margin", owner, at_least=0)
        self.negative_margin = checks.number(negative_margin, "negative_margin", owner, at_least=0)
        self.squared = bool(squared)
        self.averaging = check_averaging(averaging, owner)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        return contrastive(
            distances,
            self.mine_pairs(distances, relations, rows),
            self.positive_margin,
            self.negative_margin,
            self.squared,
            self.averaging,
        )

    def get_config(self):
        """Constructor arguments."""
        own = {
            "positive_margin": self.positive_margin,
            "negative_margin": self.negative_margin,
            "squared": self.squared,
            "averaging": self.averaging,
        }
        return {**super().get_config(), **own}
