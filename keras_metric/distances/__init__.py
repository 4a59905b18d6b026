"""Distances between embeddings: small = close, always."""

from keras_metric.distances.angular import AngularDistance
from keras_metric.distances.base import DISTANCES, Distance
from keras_metric.distances.chebyshev import ChebyshevDistance
from keras_metric.distances.cosine import CosineDistance
from keras_metric.distances.euclidean import EuclideanDistance
from keras_metric.distances.hamming import HammingDistance
from keras_metric.distances.inner_product import InnerProductDistance
from keras_metric.distances.manhattan import ManhattanDistance
from keras_metric.distances.minkowski import MinkowskiDistance
from keras_metric.distances.poincare import PoincareDistance
from keras_metric.distances.snr import SNRDistance
from keras_metric.distances.squared_euclidean import SquaredEuclideanDistance

get = DISTANCES.get

__all__ = [
    "DISTANCES",
    "AngularDistance",
    "ChebyshevDistance",
    "CosineDistance",
    "Distance",
    "EuclideanDistance",
    "HammingDistance",
    "InnerProductDistance",
    "ManhattanDistance",
    "MinkowskiDistance",
    "PoincareDistance",
    "SNRDistance",
    "SquaredEuclideanDistance",
    "get",
]
