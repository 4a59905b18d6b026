"""What a signature takes: a nest of named tensors, from the encoder or from the user."""

import re

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from keras_metric.models import encoders

OWNER = "saved_model"


def raw_inputs(encoder, preprocessing, input_signature, warmup):
    """The nest of `tf.TensorSpec`s that users hand to the exported model.

    The first of these that is known: `input_signature`; that of `preprocessing`, if it is a `tf.function` or an
    `EncodedImages`; the inputs of `preprocessing`, if it is a Keras model; the arrays of `warmup`, if there is
    preprocessing; the inputs of the encoder.
    """
    if input_signature is not None:
        nest = _unwrapped(input_signature)
    elif _own_signature(preprocessing) is not None:
        nest = _unwrapped(_own_signature(preprocessing))
    elif isinstance(preprocessing, keras.Model) and _knows_inputs(preprocessing):
        nest = encoders.input_signature(preprocessing, OWNER, "preprocessing")
    elif preprocessing is not None and warmup is not None:
        nest = tree.map_structure(_spec_of_array, warmup)
    else:
        nest = encoders.input_signature(encoder, OWNER)
    return named(tree.map_structure(_spec, nest))


def _own_signature(preprocessing):
    if isinstance(preprocessing, keras.layers.Layer):
        return None
    return getattr(preprocessing, "input_signature", None)


def _knows_inputs(model):
    try:
        return encoders.input_signature(model) is not None
    except ValueError:
        return False


def _unwrapped(signature):
    """A list of one spec is that spec, as in Keras' own export."""
    if isinstance(signature, list | tuple) and len(signature) == 1:
        return signature[0]
    return signature


def _spec_of_array(x):
    x = tf.convert_to_tensor(x)
    return tf.TensorSpec((None, *x.shape[1:]), x.dtype)


def _spec(x):
    if isinstance(x, keras.InputSpec):
        x = tf.TensorSpec(x.shape, x.dtype or keras.config.floatx())
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        raise TypeError(
            f"`input_signature` of {OWNER} must be a tf.TensorSpec, or a list or dict of them, such as "
            f"tf.TensorSpec((None, 32, 32, 3), tf.uint8). Received: {x!r}."
        )
    shape = tf.TensorShape(x.shape)
    if shape.rank is None or shape.rank < 1:
        raise ValueError(
            f"`input_signature` of {OWNER} must begin with the batch axis, (None, …). Received: shape {shape}."
        )
    return tf.TensorSpec(shape, tf.as_dtype(x.dtype), name=getattr(x, "name", None))


def named(nest):
    """The same nest with the names that the signatures use: `inputs`, or one for each of several."""
    if not tree.is_nested(nest):
        return tf.TensorSpec(nest.shape, nest.dtype, name="inputs")
    names = [_name(path, spec) for path, spec in tree.flatten_with_path(nest)]
    if len(set(names)) < len(names):
        raise ValueError(f"The inputs of the encoder must have different names. Received: {names}.")
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, spec in zip(names, tree.flatten(nest), strict=True)
    ]
    return tree.pack_sequence_as(nest, specs)


def _name(path, spec):
    # A dict says how its user calls an input; in a list only the input itself can.
    if isinstance(path[-1], str):
        name = "_".join(str(part) for part in path)
    else:
        name = spec.name or "inputs_" + "_".join(str(part) for part in path)
    return re.sub(r"\W", "_", name)


def prefixed(nest, prefix):
    """Specs of one side of a pair: `a`, or `a_<input>` where there are several."""
    several = tree.is_nested(nest)
    return [
        tf.TensorSpec(spec.shape, spec.dtype, name=f"{prefix}_{spec.name}" if several else prefix)
        for spec in tree.flatten(nest)
    ]


def arrays_like(nest, batch, argument, owner):
    """A raw batch as flat NumPy arrays of the specs' dtypes, checked against their shapes.

    Raises:
        ValueError: for another nesting, shape, or a dtype that cannot be cast without loss of range, or no rows.
    """
    try:
        tree.assert_same_structure(nest, batch)
    except (ValueError, TypeError) as error:
        wanted = tree.map_structure(lambda spec: spec.name, nest)
        raise ValueError(
            f"`{argument}` of {owner} must have the nesting {wanted}. Received: {type(batch).__name__}."
        ) from error
    flat = [
        _array_like(spec, x, argument, owner)
        for spec, x in zip(tree.flatten(nest), tree.flatten(batch), strict=True)
    ]
    if len({len(x) for x in flat}) != 1 or not len(flat[0]):
        raise ValueError(
            f"`{argument}` of {owner} must have one or more rows, as many in every input. "
            f"Received: {[x.shape for x in flat]}."
        )
    return flat


def _array_like(spec, x, argument, owner):
    x = (
        x
        if isinstance(x, np.ndarray)
        else np.asarray(keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else x)
    )
    text = x.dtype.kind in "OSU"
    wanted = f"the shape {spec.shape} and the dtype {spec.dtype.name}"
    if x.ndim != spec.shape.rank or not spec.shape[1:].is_compatible_with(x.shape[1:]):
        raise ValueError(f"`{argument}` of {owner} must have {wanted}. Received: shape {x.shape}.")
    if text != (spec.dtype == tf.string) or not (
        text or np.can_cast(x.dtype, spec.dtype.as_numpy_dtype, "same_kind")
    ):
        raise ValueError(f"`{argument}` of {owner} must have {wanted}. Received: dtype {x.dtype}.")
    return x if text else x.astype(spec.dtype.as_numpy_dtype)
