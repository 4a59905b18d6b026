"""Metrics for Keras' `compile(metrics=[…])`; `metrics.get` finds them by name: "hit@5", "map@r", "eer", …"""

from keras_metric.metrics.base import METRICS, RetrievalMetric, get
from keras_metric.metrics.equal_error_rate import EqualErrorRate
from keras_metric.metrics.hit_at_k import HitAtK
from keras_metric.metrics.mean_average_precision_at_r import MeanAveragePrecisionAtR
from keras_metric.metrics.mean_reciprocal_rank import MeanReciprocalRank
from keras_metric.metrics.pair_accuracy import PairAccuracy
from keras_metric.metrics.pair_base import PairMetric
from keras_metric.metrics.precision_at_k import PrecisionAtK
from keras_metric.metrics.r_precision import RPrecision
from keras_metric.metrics.recall_at_k import RecallAtK
from keras_metric.metrics.verification_auc import VerificationAUC

__all__ = [
    "METRICS",
    "EqualErrorRate",
    "HitAtK",
    "MeanAveragePrecisionAtR",
    "MeanReciprocalRank",
    "PairAccuracy",
    "PairMetric",
    "PrecisionAtK",
    "RPrecision",
    "RecallAtK",
    "RetrievalMetric",
    "VerificationAUC",
    "get",
]
