"""Embeddings of data by the encoder of a model, while the model trains."""

import keras
import numpy as np
from keras import ops

from keras_metric import checks
from keras_metric.models.encoders import encoder_of, with_texts

WAY_OUT = (
    "Name the layer that gives embeddings 'encoder', as the models of `keras_metric.models` do."
)


def embed(model, x, batch_size, owner):
    """Embeddings (N, D) as a NumPy array; x is an array or nested arrays."""
    encoder = encoder_of(model)
    if isinstance(encoder, keras.Model):
        found = encoder.predict(with_texts(x), batch_size=batch_size, verbose=0)
    else:
        found = np.concatenate([_call(encoder, part) for part in _parts(x, batch_size)])
    return _checked(found, owner)


def embed_batches(model, batches, owner):
    """Embeddings (N, D) and labels (N, …) of batches `(x, y)`, which need not come in the same order twice."""
    encoder = encoder_of(model)
    embeddings, labels = [], []
    for batch in _each(batches):
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise ValueError(f"`x` of {owner} must be an array, or give batches (x, y).")
        x, y = keras.tree.map_structure(_of_this_backend, batch[0]), _of_this_backend(batch[1])
        if not np.ndim(y):
            raise ValueError(
                f"`x` of {owner} must give batches (x, y). Received: single examples. Give x.batch(256)."
            )
        whole = isinstance(encoder, keras.Model)
        embeddings.append(encoder.predict_on_batch(with_texts(x)) if whole else _call(encoder, x))
        labels.append(np.asarray(y))
    if not embeddings:
        raise ValueError(f"`x` of {owner} gave no batch.")
    return _checked(np.concatenate(embeddings), owner), np.concatenate(labels)


def _each(batches):
    if isinstance(batches, keras.utils.PyDataset):  # which does not stop by itself
        return (batches[i] for i in range(batches.num_batches))
    return batches


def _of_this_backend(tensor):
    # `tf.data` gives tensors of TensorFlow, which JAX does not take.
    return tensor.numpy() if type(tensor).__module__.startswith("tensorflow") else tensor


def rows_of(x):
    """Number of rows of an array or of nested arrays."""
    return len(keras.tree.flatten(x)[0])


def check_arrays(x, owner):
    """Refuses data sets and lists of numbers, whose rows cannot be counted or taken."""
    parts = keras.tree.flatten(x)
    if not parts or not all(len(getattr(part, "shape", ())) for part in parts):
        came = type(x).__name__
        raise ValueError(
            f"`x` of {owner} must be an array or nested arrays. Received: {came}. Of a data set, take some batches: "
            "x = np.concatenate([x for x, y in data.take(8)])."
        )


def take(x, rows):
    """The rows of an array or of nested arrays."""
    return keras.tree.map_structure(lambda part: part[rows], x)


def _call(layer, x):
    return ops.convert_to_numpy(layer(x, training=False))


def _parts(x, batch_size):
    for start in range(0, rows_of(x), batch_size):
        yield take(x, slice(start, start + batch_size))


def _checked(found, owner):
    if not isinstance(found, np.ndarray) or found.ndim != 2:
        shape = getattr(found, "shape", type(found).__name__)
        raise ValueError(
            f"{owner} needs embeddings (rows, dimensions) from the model. Received: shape {shape}. {WAY_OUT}"
        )
    return found


def check_rows(x, x_name, y, y_name, owner):
    """Refuses, before training starts, arrays without labels or of another length, and batches with labels."""
    arrays = all(hasattr(part, "shape") for part in keras.tree.flatten(x))
    if y is None:
        if hasattr(x, "shape"):
            checks.fail(y_name, owner, f"be given with an array `{x_name}`", None)
    elif not arrays:
        checks.fail(
            y_name, owner, f"be None where `{x_name}` gives batches, which hold the labels", type(y)
        )
    elif rows_of(x) != len(y):
        raise ValueError(
            f"`{x_name}` and `{y_name}` of {owner} must have the same number of rows. "
            f"Received: {rows_of(x)} and {len(y)}."
        )
