"""Sigmoid loss of two towers (SigLIP)."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES
from keras_metric.losses.tower_pairs import TowerPairLoss
from keras_metric.tensors.averaging import mean_over_anchors


def sigmoid_pair(
    similarities, relations, scale=10.0, bias=-10.0, hard_similarities=None, hard_weights=None
):
    """Asks of each query and key by themselves whether they belong together.

        loss[i] = Σ_j softplus(−z_ij (t s_ij + b)),    z = +1 for equal ids, −1 for others

    Args:
        similarities: of queries and keys, shape (batch, batch).
        relations: z, of the same shape; 0 for pairs of ignored rows.
        scale: t > 0.
        bias: b; negative, since most pairs do not belong together.
        hard_similarities: of queries and further negatives, shape (batch, negatives), or None.
        hard_weights: 1 where these count, else 0.

    Returns:
        Losses of shape (batch,), whose mean is over the rows that take part.

    References:
        Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023, arXiv:2303.15343, section 3.2.
    """
    terms = ops.softplus(-relations * (scale * similarities + bias))
    sums = ops.sum(ops.where(relations != 0, terms, 0.0), axis=1)
    if hard_similarities is not None:
        sums = sums + ops.sum(hard_weights * ops.softplus(scale * hard_similarities + bias), axis=1)
    return mean_over_anchors(sums, ops.sum(ops.abs(relations), axis=1))


@LOSSES.register("sigmoid_pair")
class SigmoidPairLoss(TowerPairLoss):
    """`sigmoid_pair` between the towers of a batch.

    Inputs: `y_true` item ids (batch,) (None: all differ), `y_pred` stacked embeddings (batch, towers, dimensions):
    query, item, and in columns 2, … hard negatives of every row.

    Args:
        scale, bias: see `sigmoid_pair`. To learn them put `layers.LearnedScale(10.0, -10.0)` on the model, and give
            `scale=1.0, bias=0.0, distance="inner_product"` here.
        distance: name or `Distance`; its similarity is used.
        ignore_id: rows with this id take part in nothing; None: all do.
        reduction, name, dtype: as for every Keras loss.
    """

    def __init__(self, scale=10.0, bias=-10.0, distance: str | Distance = "cosine", **kwargs):
        super().__init__(distance, **kwargs)
        self.scale = checks.number(scale, "scale", "SigmoidPairLoss", above=0)
        self.bias = checks.number(bias, "bias", "SigmoidPairLoss")

    def of_pairs(self, similarities, relations, hard_similarities, hard_weights):
        """Losses (B,)."""
        return sigmoid_pair(
            similarities, relations, self.scale, self.bias, hard_similarities, hard_weights
        )

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "scale": self.scale, "bias": self.bias}
