"""Losses for Keras' `compile(loss=…)`; `losses.get` finds them by short name."""

from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.losses.contrastive import ContrastiveLoss
from keras_metric.losses.nt_xent import NTXentLoss
from keras_metric.losses.triplet import TripletLoss

get = LOSSES.get

__all__ = [
    "LOSSES",
    "ContrastiveLoss",
    "EmbeddingLoss",
    "NTXentLoss",
    "TripletLoss",
    "get",
]
