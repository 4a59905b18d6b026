"""Layers: everything in metric learning that owns weights, and the joints of Siamese models."""

from keras_metric.layers.base import LAYERS
from keras_metric.layers.cross_batch_memory import CrossBatchMemory
from keras_metric.layers.distance_similarity import DistanceSimilarity
from keras_metric.layers.embedding_distance import EmbeddingDistance
from keras_metric.layers.generalized_mean_pooling import GeneralizedMeanPooling
from keras_metric.layers.learned_boundary import LearnedBoundary
from keras_metric.layers.learned_scale import LearnedScale
from keras_metric.layers.log_mel_spectrogram import LogMelSpectrogram
from keras_metric.layers.mahalanobis_metric import MahalanobisMetric
from keras_metric.layers.median_denoise import MedianDenoise
from keras_metric.layers.normalize import Normalize
from keras_metric.layers.proxy_similarity import ProxySimilarity
from keras_metric.layers.standardize import Standardize
from keras_metric.layers.towers import JoinBatches, StackTowers

get = LAYERS.get

__all__ = [
    "LAYERS",
    "CrossBatchMemory",
    "DistanceSimilarity",
    "EmbeddingDistance",
    "GeneralizedMeanPooling",
    "JoinBatches",
    "LearnedBoundary",
    "LearnedScale",
    "LogMelSpectrogram",
    "MahalanobisMetric",
    "MedianDenoise",
    "Normalize",
    "ProxySimilarity",
    "StackTowers",
    "Standardize",
    "get",
]
