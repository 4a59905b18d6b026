"""Triplet loss of given triplets."""

import keras

from keras_metric import checks
from keras_metric.losses.base import LOSSES
from keras_metric.tensors.numerics import as_float
from keras_metric.tensors.triplet_sums import triplet_terms


def siamese_triplet(distances, margin: float | None = 0.2):
    """Wants each negative farther from its anchor than the positive, by a margin.

        loss = [d_ap − d_an + m]+        or, with margin=None, log(1 + exp(d_ap − d_an))

    Args:
        distances: shape (batch, 2): anchor to positive, anchor to negative.
        margin: m >= 0, in units of the distance; None for the soft margin.

    Returns:
        Losses of shape (batch,).

    References:
        Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering", CVPR
        2015, arXiv:1503.03832, equation 2.
    """
    return triplet_terms(distances[:, 0], distances[:, 1], margin)


@LOSSES.register("siamese_triplet")
class SiameseTripletLoss(keras.losses.Loss):
    """`siamese_triplet` on the distances that `models.siamese_triplet` gives.

    Inputs: `y_true` is ignored and may be missing (`data.triplets` gives zeros), `y_pred` distances (batch, 2).

    Args:
        margin: see `siamese_triplet`.
        reduction, name, dtype: as for every Keras loss.

    See also: `TripletLoss` makes the triplets of a batch itself, from class ids.
    """

    def __init__(
        self,
        margin: float | None = 0.2,
        reduction: str | None = "sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        super().__init__(name=name or "siamese_triplet", reduction=reduction, dtype=dtype)
        owner = "SiameseTripletLoss"
        self.margin = None if margin is None else checks.number(margin, "margin", owner, at_least=0)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Reduced loss; `y_true` may be missing."""
        return super().__call__(0.0 if y_true is None else y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        """Losses (B,)."""
        distances = as_float(y_pred)
        if len(distances.shape) != 2 or distances.shape[1] not in (2, None):
            checks.fail_shape(
                "y_pred", "SiameseTripletLoss", "have the shape (batch, 2)", distances,
                "For embeddings and class ids use TripletLoss.",
            )  # fmt: skip
        return siamese_triplet(distances, self.margin)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "margin": self.margin, "dtype": self.dtype}
