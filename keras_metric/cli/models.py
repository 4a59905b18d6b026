"""Loads a trained model and fits examples to what it takes."""

from pathlib import Path

import keras
import numpy as np

import keras_metric  # noqa: F401  registers the classes that a saved model may hold
from keras_metric.cli.problems import Failure
from keras_metric.models.encoders import encoder_of


def load_encoder(path):
    """The encoder of a `.keras` file, or of a folder that a training run wrote (its `model.keras`)."""
    path = Path(path)
    file = path / "model.keras" if path.is_dir() else path
    if not file.exists():
        raise Failure(
            f"{file}: no such model; `keras-metric train` and `keras-metric demo` make one"
        )
    try:
        return encoder_of(keras.saving.load_model(file, compile=False))
    except Exception as error:  # h5py, zipfile and Keras raise many kinds for a damaged file
        raise Failure(f"{file}: is no readable Keras model ({error})") from error


def image_size_of(encoder):
    """(height, width) of the images that an encoder takes, or None for other inputs."""
    shape = encoder.input_shape
    return tuple(shape[1:3]) if len(shape) in (3, 4) and all(shape[1:3]) else None


def fitted(x, encoder, where):
    """Examples in the shape that an encoder takes; grey images get or lose their channel axis."""
    wanted = tuple(encoder.input_shape[1:])
    if x.shape[1:] == wanted:
        return x
    if x.shape[1:] == (*wanted, 1):
        return x[..., 0]
    if (*x.shape[1:], 1) == wanted:
        return x[..., None]
    grey = x if x.ndim == 4 else x[..., None]
    if len(wanted) == 3 and wanted[2] == 3 and grey.shape[1:] == (*wanted[:2], 1):
        return np.repeat(grey, 3, axis=-1)
    raise Failure(f"{where}: examples have the shape {x.shape[1:]}; the model takes {wanted}")
