"""Callbacks for `model.fit`: evaluation during training, an alarm for collapse, TensorBoard's projector."""

from keras_metric.callbacks.collapse_alarm import CollapseAlarm
from keras_metric.callbacks.embedding_projector import EmbeddingProjector
from keras_metric.callbacks.refresh_hard_negatives import RefreshHardNegatives
from keras_metric.callbacks.retrieval_evaluation import RetrievalEvaluation

__all__ = ["CollapseAlarm", "EmbeddingProjector", "RefreshHardNegatives", "RetrievalEvaluation"]
