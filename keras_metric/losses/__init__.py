"""Losses for Keras' `compile(loss=…)`; `losses.get` finds them by short name."""

from keras_metric.losses.ada_face import AdaFaceLoss
from keras_metric.losses.angular import AngularLoss
from keras_metric.losses.arc_face import ArcFaceLoss
from keras_metric.losses.barlow_twins import BarlowTwinsLoss
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.losses.circle import CircleLoss
from keras_metric.losses.co_sent import CoSENTLoss
from keras_metric.losses.contrastive import ContrastiveLoss
from keras_metric.losses.cos_face import CosFaceLoss
from keras_metric.losses.cosine_regression import CosineRegressionLoss
from keras_metric.losses.fast_ap import FastAPLoss
from keras_metric.losses.generalized_lifted_structure import GeneralizedLiftedStructureLoss
from keras_metric.losses.info_nce import InfoNCELoss
from keras_metric.losses.lifted_structure import LiftedStructureLoss
from keras_metric.losses.margin import MarginLoss
from keras_metric.losses.matryoshka import MatryoshkaLoss
from keras_metric.losses.multi_similarity import MultiSimilarityLoss
from keras_metric.losses.normalized_softmax import NormalizedSoftmaxLoss
from keras_metric.losses.nt_xent import NTXentLoss
from keras_metric.losses.proxy_anchor import ProxyAnchorLoss
from keras_metric.losses.proxy_base import ProxyLoss
from keras_metric.losses.proxy_nca import ProxyNCALoss
from keras_metric.losses.recall_at_k_surrogate import RecallAtKSurrogateLoss
from keras_metric.losses.siamese_contrastive import SiameseContrastiveLoss
from keras_metric.losses.siamese_triplet import SiameseTripletLoss
from keras_metric.losses.sigmoid_pair import SigmoidPairLoss
from keras_metric.losses.smooth_ap import SmoothAPLoss
from keras_metric.losses.soft_nearest_neighbor import SoftNearestNeighborLoss
from keras_metric.losses.soft_triple import SoftTripleLoss
from keras_metric.losses.sup_con import SupConLoss
from keras_metric.losses.threshold_consistent_margin import ThresholdConsistentMarginLoss
from keras_metric.losses.tower_base import TowerLoss
from keras_metric.losses.triplet import TripletLoss
from keras_metric.losses.vic_reg import VICRegLoss

get = LOSSES.get

__all__ = [
    "AdaFaceLoss",
    "ArcFaceLoss",
    "BarlowTwinsLoss",
    "CoSENTLoss",
    "CosFaceLoss",
    "CosineRegressionLoss",
    "InfoNCELoss",
    "NormalizedSoftmaxLoss",
    "ProxyAnchorLoss",
    "ProxyLoss",
    "ProxyNCALoss",
    "SigmoidPairLoss",
    "SoftTripleLoss",
    "TowerLoss",
    "VICRegLoss",
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
