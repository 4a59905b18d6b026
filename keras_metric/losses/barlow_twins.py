"""Barlow Twins loss."""

from keras import ops

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.losses.tower_base import TowerLoss
from keras_metric.tensors.numerics import epsilon, unit_rows


def barlow_twins(a, b, off_diagonal=0.005):
    """Makes the correlations of two views' coordinates an identity matrix.

        Σ_i (1 − c_ii)² + λ Σ_{i ≠ j} c_ij²,    c_ij the correlation over the batch of a's coordinate i and b's j

    Args:
        a, b: embeddings of the two views, shape (batch, dimensions) each.
        off_diagonal: λ >= 0.

    Returns:
        The loss, repeated in each row, of shape (batch,). A coordinate that does not vary correlates with nothing: it
        costs 1, with a zero gradient; so does every coordinate of a single row.

    References:
        Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021, arXiv:2103.03230,
        equations 1 and 2.
    """
    correlations = ops.matmul(_unit_columns(a), ops.transpose(_unit_columns(b)))  # (D, D)
    identity = ops.eye(a.shape[1], dtype=a.dtype)
    weights = identity + off_diagonal * (1.0 - identity)
    difference = correlations - identity
    return ops.sum(weights * difference * difference) * ops.ones_like(a[:, 0])


def _unit_columns(x):
    """Coordinates as unit vectors over the batch, without their mean, (D, B)."""
    centered = x - ops.mean(x, axis=0, keepdims=True)
    # What rounding of the mean leaves of a constant coordinate is no variation.
    noise = 8.0 * epsilon(x) * ops.max(ops.abs(x), axis=0, keepdims=True)
    varies = ops.max(ops.abs(centered), axis=0, keepdims=True) > noise
    return unit_rows(ops.transpose(ops.where(ops.stop_gradient(varies), centered, 0.0)))


@LOSSES.register("barlow_twins")
class BarlowTwinsLoss(TowerLoss):
    """`barlow_twins` of two views, without negatives or ids.

    Inputs: `y_true` is ignored and may be missing, `y_pred` stacked embeddings (batch, 2, dimensions).

    Args:
        off_diagonal: see `barlow_twins`.
        reduction, name, dtype: as for every Keras loss.
    """

    only_two = True

    def __init__(self, off_diagonal=0.005, **kwargs):
        super().__init__(**kwargs)
        self.off_diagonal = checks.number(
            off_diagonal, "off_diagonal", "BarlowTwinsLoss", at_least=0
        )

    def per_row(self, towers, targets):
        """Losses (B,)."""
        return barlow_twins(towers[:, 0], towers[:, 1], self.off_diagonal)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "off_diagonal": self.off_diagonal}
