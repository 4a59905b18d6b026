"""Embeds what a report is about, from arrays or from batches."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_metric.models.encoders import encoder_of, with_texts

OWNER = "report"
KEPT = 2**30  # bytes of inputs that are kept for pictures


class Embedded(NamedTuple):
    """Embeddings (N, D), labels (N,), and the inputs: an array or list of N items, or None where none are kept."""

    embeddings: Any
    labels: Any
    inputs: Any


def embedded(encoder, data, batch_size):
    """Runs an encoder over a data set.

    Args:
        encoder: Keras model, or its layer `encoder` if it has one; None: the inputs are embeddings.
        data: tuple `(x, y)`, or an iterable of batches `(x, y)` or `(x, y, weights)`.
        batch_size: for arrays.

    Raises:
        ValueError: for data of another kind, an endless data set, no batches.
    """
    encoder = encoder_of(encoder)
    if isinstance(data, tuple) and len(data) == 2:
        x, y = data
        if encoder is None:
            return Embedded(x, y, None)
        found = encoder.predict(with_texts(x), batch_size=batch_size, verbose=0)
        return Embedded(found, y, None if isinstance(x, dict) else x)
    return _from_batches(encoder, data)


def _from_batches(encoder, data):
    if not hasattr(data, "__iter__") and not hasattr(data, "__getitem__"):
        raise ValueError(
            f"`data` of {OWNER} must be a tuple (x, y) or an iterable of batches (x, y). "
            f"Received: {type(data).__name__}."
        )
    if callable(getattr(data, "cardinality", None)) and int(data.cardinality()) == -1:
        raise ValueError(
            f"`data` of {OWNER} must end. Received: a dataset that repeats for ever. Give data.take(steps)."
        )
    embeddings, labels, inputs, kept = [], [], [], 0
    for batch in data:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise ValueError(
                f"`data` of {OWNER} must give batches (x, y). Received: a batch of type {type(batch).__name__}."
            )
        x, y = batch[:2]
        if not np.ndim(y):
            raise ValueError(
                f"`data` of {OWNER} must give batches (x, y). Received: single examples. Give data.batch(256)."
            )
        embeddings.append(_numpy(x if encoder is None else encoder.predict_on_batch(with_texts(x))))
        labels.append(_numpy(y))
        if inputs is not None and encoder is not None and not isinstance(x, (dict, tuple, list)):
            inputs.append(_numpy(x))
            kept += inputs[-1].nbytes
            if kept > KEPT:
                warnings.warn(
                    f"{OWNER} keeps up to {KEPT / 2**30:g} GB of inputs of batches to show them. These are more: give "
                    "`items`, or rows are shown by their number only."
                )
                inputs = None
    if not embeddings:
        raise ValueError(f"`data` of {OWNER} must have one batch or more. Received: none.")
    if inputs and len({x.shape[1:] for x in inputs}) > 1:
        inputs = None
    return Embedded(
        np.concatenate(embeddings),
        np.concatenate(labels),
        np.concatenate(inputs) if inputs else None,
    )


def _numpy(x):
    x = x.numpy() if hasattr(x, "numpy") and not hasattr(x, "detach") else x
    return x if isinstance(x, np.ndarray) else ops.convert_to_numpy(x)
