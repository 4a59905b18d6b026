"""Finds the tables, layers and variables that a preprocessing function uses, so that they are saved with it."""

import functools
import inspect

import keras
import tensorflow as tf


def resources_of(function):
    """Trackable objects that a callable is or refers to.

    A layer or `tf.Module` is its own; of a plain function, the closed-over and global names that it uses are looked at;
    of a method, its object; of a `functools.partial`, also its arguments.
    """
    found, waiting, seen = [], [function], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, keras.layers.Layer | tf.Module | tf.Variable) or _is_resource(one):
            found.append(one)
        elif isinstance(one, list | tuple):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, functools.partial):
            waiting.extend([one.func, *one.args, *one.keywords.values()])
        elif inspect.ismethod(one):
            waiting.extend([one.__self__, one.__func__])
        elif hasattr(one, "python_function"):  # a tf.function
            waiting.append(one.python_function)
        elif inspect.isfunction(one):
            names = inspect.getclosurevars(one)
            waiting.extend([*names.nonlocals.values(), *names.globals.values()])
        elif callable(one) and hasattr(one, "__dict__") and one is function:
            waiting.extend([*vars(one).values(), type(one).__call__])
    return found


def _is_resource(one):
    return isinstance(one, tf.lookup.StaticHashTable | tf.lookup.StaticVocabularyTable)


VOCABULARY_LAYERS = (
    keras.layers.TextVectorization,
    keras.layers.StringLookup,
    keras.layers.IntegerLookup,
)


def vocabulary_layers(resources):
    """Layers with a vocabulary among some and those inside them, each once."""
    found, waiting = {}, list(resources)
    while waiting:
        one = waiting.pop(0)
        if isinstance(
            one, VOCABULARY_LAYERS
        ):  # the lookup inside a TextVectorization has the same one
            found[id(one)] = one
        elif isinstance(one, keras.layers.Layer):
            waiting.extend(one._flatten_layers(include_self=False, recursive=False))
    return list(found.values())
