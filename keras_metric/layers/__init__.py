"""Layers: everything in metric learning that owns weights, and the joints of Siamese models."""

from keras_metric.layers.base import LAYERS
from keras_metric.layers.distance_similarity import DistanceSimilarity
from keras_metric.layers.embedding_distance import EmbeddingDistance
from keras_metric.layers.towers import JoinBatches, StackTowers

get = LAYERS.get

__all__ = [
    "LAYERS",
    "DistanceSimilarity",
    "EmbeddingDistance",
    "JoinBatches",
    "StackTowers",
    "get",
]
