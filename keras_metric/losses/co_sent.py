"""CoSENT loss of graded pairs."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import DISTANCES
from keras_metric.losses.base import LOSSES
from keras_metric.losses.tower_base import TowerLoss, graded
from keras_metric.tensors.masked import log_one_plus_sum_exp


def co_sent(similarities, grades, scale=20.0):
    """Orders pairs as their grades do, whatever the grades' unit.

        log(1 + Σ_{y_i > y_j} exp(scale (cos_j − cos_i)))

    Args:
        similarities: cosines of the given pairs, shape (batch,).
        grades: y, of the same shape; only their order matters.
        scale: > 0.

    Returns:
        The loss, repeated in each row, of shape (batch,); 0 where all grades are equal.

    References:
        Su, "CoSENT: A more efficient sentence vector scheme than Sentence-BERT", 2022, kexue.fm/archives/8847.
    """
    ordered = ops.cast(grades[:, None] > grades[None, :], similarities.dtype)  # (B, B)
    gaps = scale * (similarities[None, :] - similarities[:, None])
    loss = log_one_plus_sum_exp(ops.reshape(gaps, (-1,)), ops.reshape(ordered, (-1,)))
    return loss * ops.ones_like(similarities)


@LOSSES.register("co_sent")
class CoSENTLoss(TowerLoss):
    """`co_sent` of pairs with graded similarities, such as ratings of 0 to 5.

    Inputs: `y_true` grades (batch,) or (batch, 1), `y_pred` stacked embeddings (batch, 2, dimensions).

    Args:
        scale: see `co_sent`.
        reduction, name, dtype: as for every Keras loss.

    See also: `CosineRegressionLoss` fits the grades themselves.
    """

    only_two = True

    def __init__(self, scale=20.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = checks.number(scale, "scale", "CoSENTLoss", above=0)

    def targets(self, y_true, towers):
        """The grades (B,)."""
        return graded(y_true, "CoSENTLoss")

    def per_row(self, towers, targets):
        """Losses (B,)."""
        cosines = 1.0 - DISTANCES.get("cosine").between(towers[:, 0], towers[:, 1])
        return co_sent(cosines, targets, self.scale)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "scale": self.scale}
