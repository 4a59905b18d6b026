"""Serving: a client of TensorFlow Serving, and a small local server of the same interfaces."""

from keras_metric.serving.client import Client
from keras_metric.serving.problems import (
    BadAnswer,
    RequestRefused,
    ServerFailed,
    ServerUnavailable,
    ServingError,
)
from keras_metric.serving.results import SimilarityResult
from keras_metric.serving.server import Limits, LocalServer, StartProblem

__all__ = [
    "LocalServer",
    "BadAnswer",
    "Client",
    "Limits",
    "RequestRefused",
    "ServerFailed",
    "ServerUnavailable",
    "ServingError",
    "SimilarityResult",
    "StartProblem",
]
