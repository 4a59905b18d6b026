"""Judging embeddings: exact figures that say what they mean, in bounded memory."""

import importlib

from keras_metric.evaluation import plots
from keras_metric.evaluation.bootstrap import (
    Interval,
    bootstrap_pairs,
    bootstrap_retrieval,
    bootstrap_verification,
)
from keras_metric.evaluation.calibration import (
    ProbabilityCalibration,
    calibrate_probability,
    calibrate_threshold,
)
from keras_metric.evaluation.classification import classification
from keras_metric.evaluation.clustering import clustering
from keras_metric.evaluation.folds import FoldsResult, verification_folds
from keras_metric.evaluation.omniglot import OmniglotRuns, omniglot_runs
from keras_metric.evaluation.one_shot import few_shot, one_shot
from keras_metric.evaluation.opis import OpisResult, opis
from keras_metric.evaluation.report import report
from keras_metric.evaluation.results import (
    ClassificationResult,
    ClusteringResult,
    OneShotResult,
    RetrievalResult,
    VerificationResult,
)
from keras_metric.evaluation.retrieval import retrieval
from keras_metric.evaluation.roc import RocCurve
from keras_metric.evaluation.verification import verification, verification_from_embeddings

__all__ = [
    "ClassificationResult",
    "ClusteringResult",
    "FoldsResult",
    "Interval",
    "OmniglotRuns",
    "OneShotResult",
    "OpisResult",
    "ProbabilityCalibration",
    "RetrievalResult",
    "RocCurve",
    "VerificationResult",
    "bootstrap_pairs",
    "bootstrap_retrieval",
    "bootstrap_verification",
    "calibrate_probability",
    "calibrate_threshold",
    "classification",
    "clustering",
    "few_shot",
    "omniglot_runs",
    "one_shot",
    "opis",
    "plots",
    "report",
    "retrieval",
    "verification",
    "verification_folds",
    "verification_from_embeddings",
]


def __getattr__(name):
    # A scikit-learn class: scikit-learn is an extra, and loads only for whoever asks for it.
    if name == "EmbeddingTransformer":
        return importlib.import_module("keras_metric.evaluation.transformer").EmbeddingTransformer
    raise AttributeError(f"module 'keras_metric.evaluation' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), "EmbeddingTransformer"})
