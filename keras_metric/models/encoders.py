"""What the model builders ask of an encoder: its inputs, its name, its embeddings; and how to find it again."""

import keras
import numpy as np
from keras import tree

from keras_metric import checks


def checked_encoder(encoder, owner, argument="encoder"):
    """The encoder itself, if it is a layer or model whose input is known."""
    if not isinstance(encoder, keras.layers.Layer):
        raise TypeError(
            f"`{argument}` of {owner} must be a keras.Model or a keras layer. "
            f"Received: {encoder!r} of type {type(encoder).__name__}."
        )
    input_signature(encoder, owner, argument)
    return encoder


def encoder_of(model):
    """The layer named `encoder`, which training models carry, or the model itself."""
    for layer in getattr(model, "layers", ()):
        if layer.name == "encoder":
            return layer
    return model


def with_texts(x):
    """Data as `predict` takes them: a list of texts, and arrays of texts wherever they stand, as arrays of objects."""
    if isinstance(x, (list, tuple)) and x and all(isinstance(one, (str, bytes)) for one in x):
        return np.array(x, dtype=object)

    def each(part):
        text = isinstance(part, np.ndarray) and part.dtype.kind in "US"
        return part.astype(object) if text else part

    return tree.map_structure(each, x)


def input_signature(encoder, owner="the model", argument="encoder"):
    """The nesting of symbolic inputs that an encoder takes, without its batch size.

    Functional and Sequential models know it; other models and layers once they have been called on one tensor.

    Raises:
        ValueError: if it is not known.
    """
    try:
        signature = encoder.input
    except (AttributeError, ValueError):
        # A Sequential that was never called knows its `inputs` with their dtype, and no `input`.
        signature = getattr(encoder, "inputs", None) or None
    if signature is None:
        shape = (encoder.get_build_config() or {}).get("input_shape") if encoder.built else None
        if not shape or not all(n is None or isinstance(n, int) for n in shape):
            raise ValueError(
                f"`{argument}` of {owner} must know the shape of its input. Received: {encoder!r}. Begin it with a "
                "keras.Input, or wrap it: keras.Model(x, layer(x)) with x = keras.Input(shape=…)."
            )
        signature = keras.KerasTensor((None, *shape[1:]), dtype=keras.config.floatx())
    if isinstance(signature, (list, tuple)) and len(signature) == 1:
        signature = signature[0]
    return signature


def inputs_like(encoder, name):
    """New symbolic inputs of the encoder's nesting, named `name` or, where there are several, `name_<input>`.

    With `name=None` they keep the names that they have in the encoder.
    """
    signature = input_signature(encoder)
    several = tree.is_nested(signature)

    def new(x):
        return keras.Input(
            shape=x.shape[1:],
            dtype=x.dtype,
            sparse=getattr(x, "sparse", False),
            name=x.name if name is None else f"{name}_{x.name}" if several else name,
        )

    return tree.map_structure(new, signature)


def embed(encoder, inputs, owner, name="encoder"):
    """Symbolic embeddings (B, D) of an encoder, which from here on bears `name`."""
    # Only a layer of this name is found by `get_layer(name)`; a wrapper would not be the encoder that was given.
    encoder.name = name
    embeddings = encoder(inputs)
    if tree.is_nested(embeddings):
        raise ValueError(
            f"`{name}` of {owner} must give one tensor of embeddings. Received: {embeddings}."
        )
    return checks.embeddings(embeddings, f"the output of `{name}`", owner)
