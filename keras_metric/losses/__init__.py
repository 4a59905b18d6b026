"""Losses for Keras' `compile(loss=…)`; `losses.get` finds them by short name."""

from keras_metric.losses.angular import AngularLoss
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.losses.circle import CircleLoss
from keras_metric.losses.contrastive import ContrastiveLoss
from keras_metric.losses.fast_ap import FastAPLoss
from keras_metric.losses.generalized_lifted_structure import GeneralizedLiftedStructureLoss
from keras_metric.losses.lifted_structure import LiftedStructureLoss
from keras_metric.losses.margin import MarginLoss
from keras_metric.losses.matryoshka import MatryoshkaLoss
from keras_metric.losses.multi_similarity import MultiSimilarityLoss
from keras_metric.losses.nt_xent import NTXentLoss
from keras_metric.losses.recall_at_k_surrogate import RecallAtKSurrogateLoss
from keras_metric.losses.siamese_contrastive import SiameseContrastiveLoss
from keras_metric.losses.siamese_triplet import SiameseTripletLoss
from keras_metric.losses.smooth_ap import SmoothAPLoss
from keras_metric.losses.soft_nearest_neighbor import SoftNearestNeighborLoss
from keras_metric.losses.sup_con import SupConLoss
from keras_metric.losses.threshold_consistent_margin import ThresholdConsistentMarginLoss
from keras_metric.losses.triplet import TripletLoss

get = LOSSES.get

__all__ = [
    "LOSSES",
    "AngularLoss",
    "CircleLoss",
    "ContrastiveLoss",
    "EmbeddingLoss",
    "FastAPLoss",
    "GeneralizedLiftedStructureLoss",
    "LiftedStructureLoss",
    "MarginLoss",
    "MatryoshkaLoss",
    "MultiSimilarityLoss",
    "NTXentLoss",
    "RecallAtKSurrogateLoss",
    "SiameseContrastiveLoss",
    "SiameseTripletLoss",
    "SmoothAPLoss",
    "SoftNearestNeighborLoss",
    "SupConLoss",
    "ThresholdConsistentMarginLoss",
    "TripletLoss",
    "get",
]
