"""Embeddings of a whole corpus with Apache Beam, on one machine or many: an extra, `keras-metric[beam]`."""

from keras_metric import extras

extras.require("apache_beam", extra="beam")

from keras_metric.beam.handler import SavedModelHandler  # noqa: E402  after the message of a missing package
from keras_metric.beam.pipeline import embed_files, embed_tfrecords  # noqa: E402
from keras_metric.beam.shards import WriteShards, read_vectors  # noqa: E402

__all__ = ["SavedModelHandler", "WriteShards", "embed_files", "embed_tfrecords", "read_vectors"]
