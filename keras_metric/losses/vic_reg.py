"""VICReg loss."""

from keras import ops

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.losses.tower_base import TowerLoss
from keras_metric.tensors.numerics import row_count


def vic_reg(a, b, invariance=25.0, variance=25.0, covariance=1.0):
    """Two views of one thing alike, each coordinate alive, no two coordinates telling the same.

          λ · mean over rows and coordinates of (a − b)²
        + μ · mean over both views and the coordinates of [1 − √(var + 1e-4)]+
        + ν · Σ over both views of Σ_{i ≠ j} cov_ij² / D

    Variances and covariances are over the batch, divided by B − 1. A batch of one row has only the first part.

    Args:
        a, b: embeddings of the two views, shape (batch, dimensions) each.
        invariance, variance, covariance: λ, μ, ν, >= 0.

    Returns:
        The loss, repeated in each row, of shape (batch,).

    References:
        Bardes, Ponce and LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning",
        ICLR 2022, arXiv:2105.04906, equation 6, with the weights and means of the authors' code.
    """
    alike = ops.mean((a - b) * (a - b))
    alive_a, told_a = _variance_and_covariance(a)
    alive_b, told_b = _variance_and_covariance(b)
    rest = variance * 0.5 * (alive_a + alive_b) + covariance * (told_a + told_b)
    several = row_count(a) > 1.5
    loss = invariance * alike + ops.where(several, rest, ops.zeros_like(rest))
    return loss * ops.ones_like(a[:, 0])


def _variance_and_covariance(x):
    freedom = ops.maximum(row_count(x) - 1.0, 1.0)
    centered = x - ops.mean(x, axis=0, keepdims=True)
    covariances = ops.matmul(ops.transpose(centered), centered) / freedom  # (D, D)
    variances = ops.sum(centered * centered, axis=0) / freedom
    dead = ops.mean(ops.relu(1.0 - ops.sqrt(variances + 1e-4)))
    # The diagonal is left out by mask: a difference of two large sums would lose digits.
    off_diagonal = covariances * (1.0 - ops.eye(x.shape[1], dtype=x.dtype))
    return dead, ops.sum(off_diagonal * off_diagonal) / x.shape[1]


@LOSSES.register("vic_reg")
class VICRegLoss(TowerLoss):
    """`vic_reg` of two views, without negatives or ids.

    Inputs: `y_true` is ignored and may be missing, `y_pred` stacked embeddings (batch, 2, dimensions), not normalised.

    Args:
        invariance, variance, covariance: see `vic_reg`.
        reduction, name, dtype: as for every Keras loss.
    """

    only_two = True

    def __init__(self, invariance=25.0, variance=25.0, covariance=1.0, **kwargs):
        super().__init__(**kwargs)
        owner = "VICRegLoss"
        self.invariance = checks.number(invariance, "invariance", owner, at_least=0)
        self.variance = checks.number(variance, "variance", owner, at_least=0)
        self.covariance = checks.number(covariance, "covariance", owner, at_least=0)

    def per_row(self, towers, targets):
        """Losses (B,)."""
        return vic_reg(towers[:, 0], towers[:, 1], self.invariance, self.variance, self.covariance)

    def get_config(self):
        """Constructor arguments."""
        own = {
            "invariance": self.invariance,
            "variance": self.variance,
            "covariance": self.covariance,
        }
        return {**super().get_config(), **own}
