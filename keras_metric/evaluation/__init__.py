"""Judging embeddings: exact figures that say what they mean, in bounded memory."""

from keras_metric.evaluation import plots
from keras_metric.evaluation.results import RetrievalResult, VerificationResult
from keras_metric.evaluation.retrieval import retrieval
from keras_metric.evaluation.verification import verification, verification_from_embeddings

__all__ = [
    "RetrievalResult",
    "VerificationResult",
    "plots",
    "retrieval",
    "verification",
    "verification_from_embeddings",
]
