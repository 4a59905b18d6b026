"""Judging embeddings: exact figures that say what they mean, in bounded memory."""

from keras_metric.evaluation.results import RetrievalResult, VerificationResult
from keras_metric.evaluation.retrieval import retrieval

__all__ = [
    "RetrievalResult",
    "VerificationResult",
    "retrieval",
]
