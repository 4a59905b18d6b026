"""The losses under the path that they have in TensorFlow Addons: `addons.losses.TripletSemiHardLoss`."""

from keras_metric.compat.addons.contrastive import ContrastiveLoss, contrastive_loss
from keras_metric.compat.addons.lifted_struct import LiftedStructLoss, lifted_struct_loss
from keras_metric.compat.addons.npairs import NpairsLoss, npairs_loss
from keras_metric.compat.addons.npairs_multilabel import (
    NpairsMultilabelLoss,
    npairs_multilabel_loss,
)
from keras_metric.compat.addons.triplet_hard import TripletHardLoss, triplet_hard_loss
from keras_metric.compat.addons.triplet_semihard import TripletSemiHardLoss, triplet_semihard_loss

__all__ = [
    "ContrastiveLoss",
    "LiftedStructLoss",
    "NpairsLoss",
    "NpairsMultilabelLoss",
    "TripletHardLoss",
    "TripletSemiHardLoss",
    "contrastive_loss",
    "lifted_struct_loss",
    "npairs_loss",
    "npairs_multilabel_loss",
    "triplet_hard_loss",
    "triplet_semihard_loss",
]
