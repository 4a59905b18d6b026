"""What users hand over for export: objects, or the files that hold them."""

import os
from pathlib import Path

import keras


def encoder_of(encoder, owner="saved_model"):
    """A Keras layer or model, loaded if a `.keras` file is named."""
    if isinstance(encoder, str | os.PathLike):
        return keras.saving.load_model(keras_file(encoder, owner), compile=False)
    if not isinstance(encoder, keras.layers.Layer):
        raise TypeError(
            f"`encoder` of {owner} must be a Keras model or layer, or the path of a .keras file. "
            f"Received: {encoder!r} of type {type(encoder).__name__}."
        )
    return encoder


def keras_file(path, owner="saved_model"):
    """The path of a `.keras` file that is there."""
    path = Path(path)
    if path.suffix != ".keras" or not path.is_file():
        why = "does not exist" if not path.exists() else "is no .keras file"
        raise FileNotFoundError(
            f"`encoder` of {owner} must be a Keras model or the path of a .keras file. "
            f"Received: {str(path)!r}, which {why}."
        )
    return path


def index_of(index, owner="saved_model"):
    """An `Index`, loaded if its folder is named; None stays None."""
    if index is None:
        return None
    from keras_metric.index import Index

    if isinstance(index, str | os.PathLike):
        return Index.load(index)
    if not isinstance(index, Index):
        raise TypeError(
            f"`index` of {owner} must be a keras_metric.index.Index or the folder of a saved one. "
            f"Received: {index!r} of type {type(index).__name__}."
        )
    return index
