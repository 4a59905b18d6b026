"""Squared error of cosines of graded pairs."""

from keras_metric.distances import DISTANCES
from keras_metric.losses.base import LOSSES
from keras_metric.losses.tower_base import TowerLoss, graded


def cosine_regression(similarities, grades):
    """Fits cosines to grades.

        loss = (cos − y)²

    Args:
        similarities: cosines of the given pairs, shape (batch,).
        grades: y in [-1, 1], of the same shape.

    Returns:
        Losses of shape (batch,).

    References:
        Reimers and Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks", EMNLP 2019,
        arXiv:1908.10084, section 3, regression objective.
    """
    return (similarities - grades) * (similarities - grades)


@LOSSES.register("cosine_regression")
class CosineRegressionLoss(TowerLoss):
    """`cosine_regression` of pairs with graded similarities.

    Inputs: `y_true` grades (batch,) or (batch, 1) in [-1, 1] (divide ratings of 0 to 5 by 5), `y_pred` stacked
    embeddings (batch, 2, dimensions).

    Args:
        reduction, name, dtype: as for every Keras loss.

    See also: `CoSENTLoss` looks at the order of the grades only.
    """

    only_two = True

    def targets(self, y_true, towers):
        """The grades (B,)."""
        return graded(y_true, "CosineRegressionLoss")

    def per_row(self, towers, targets):
        """Losses (B,)."""
        cosines = 1.0 - DISTANCES.get("cosine").between(towers[:, 0], towers[:, 1])
        return cosine_regression(cosines, targets)
