"""Puts one SavedModel with all that belongs to it into a folder, on the TensorFlow backend."""

import logging
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from keras_metric import distances
from keras_metric.export import card, specs, tracking, warming
from keras_metric.export.corpus import Corpus
from keras_metric.export.signatures import Signatures


def write(folder, encoder, preprocessing, index, warmup, input_signature, settings):
    """Writes one SavedModel with all that belongs to it into an empty folder."""
    inputs = specs.raw_inputs(encoder, preprocessing, input_signature, warmup)
    requests = None
    if warmup is not None:
        requests = specs.arrays_like(inputs, warmup, "warmup", "saved_model")
    corpus = None if index is None else Corpus(index, settings["k"])
    signatures = Signatures(
        encoder,
        _as_graph(preprocessing),
        inputs,
        distances.get(settings["distance"]) if corpus is None else corpus.distance,
        settings["threshold"],
        corpus,
    )
    functions = dict(signatures.functions())
    _archive(folder, encoder, preprocessing, functions)
    if requests is not None:
        warming.write(folder, functions, requests, settings["name"])
    card.write(folder, encoder, preprocessing, index, signatures, functions, settings)


def _as_graph(preprocessing):
    """Plain functions become graph functions, so that Python conditions on tensors work in them."""
    if preprocessing is None or isinstance(preprocessing, keras.layers.Layer):
        return preprocessing
    return (
        preprocessing if hasattr(preprocessing, "python_function") else tf.function(preprocessing)
    )


def _archive(folder, encoder, preprocessing, functions):
    archive = keras.export.ExportArchive()
    archive.track(encoder)
    # The archive finds variables by itself.
    found = [] if preprocessing is None else tracking.resources_of(preprocessing)
    found = [resource for resource in found if not isinstance(resource, tf.Variable)]
    for resource in found:
        archive.track(resource)
    tables = [resource for resource in found if not isinstance(resource, keras.layers.Layer)]
    if tables and hasattr(archive, "_tf_trackable"):
        archive._tf_trackable.tables = tables  # Keras 3.8 saves none but those of its own layers
    for name, function in functions.items():
        archive.add_endpoint(name, function)
    with tempfile.TemporaryDirectory(prefix="keras-metric-vocabularies-") as texts, _quiet():
        if hasattr(archive, "_tf_trackable"):  # `track` passes over assets that no function uses
            archive._tf_trackable.vocabularies = [
                tf.saved_model.Asset(_vocabulary(layer, Path(texts)))
                for layer in tracking.vocabulary_layers([encoder, *found])
            ]
        archive.write_out(str(folder), verbose=False)


def _vocabulary(layer, folder):
    """A file of a layer's vocabulary, one entry a line, for people and programs to read: the graph has its own."""
    file = Path(tempfile.mkdtemp(dir=folder)) / f"{layer.name}_vocabulary.txt"  # names may repeat
    lines = (str(entry).replace("\n", " ") for entry in layer.get_vocabulary())
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(file)


class _quiet:
    """Keeps TensorFlow from telling that assets were written, to a name that will not stay."""

    def __enter__(self):
        self.level = tf.get_logger().level
        tf.get_logger().setLevel(logging.ERROR)

    def __exit__(self, *_):
        tf.get_logger().setLevel(self.level)
