"""An exported model as the handler of Beam's `RunInference`."""

import numpy as np
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler


class SavedModelHandler(ModelHandler):
    """Runs a signature of a SavedModel that `export.saved_model` wrote; the workers need no Keras.

    Wrap it in Beam's `KeyedModelHandler` for elements with a key:

        corpus | RunInference(KeyedModelHandler(SavedModelHandler("saved_models/digits/1")))

    Args:
        path: the version folder, as the workers see it.
        signature: a signature of one input and one output.
        max_batch_size: elements of one call.
    """

    def __init__(self, path, signature="embed", max_batch_size=64):
        super().__init__(min_batch_size=1, max_batch_size=max_batch_size)
        self.path, self.signature = str(path), signature

    def load_model(self):
        """The loaded SavedModel."""
        return tf.saved_model.load(self.path)

    def run_inference(self, batch, model, inference_args=None):
        """One vector for each element of a batch."""
        function = model.signatures[self.signature]
        (name,) = function.structured_input_signature[1]
        outputs = function(**{name: tf.constant(_stacked(batch))})
        (vectors,) = outputs.values()
        return list(vectors.numpy())

    def get_num_bytes(self, batch):
        """Size of a batch, for Beam's metrics."""
        return sum(len(one) if isinstance(one, bytes) else np.asarray(one).nbytes for one in batch)

    def get_metrics_namespace(self):
        """Name under which Beam counts."""
        return "keras_metric"


def _stacked(batch):
    if isinstance(batch[0], bytes | str):
        return np.array(batch, object)
    return np.stack(batch)
