"""Deep metric learning for Keras 3: losses, layers, data, evaluation, search and serving."""

import importlib

from keras_metric import distances, layers, losses, metrics, miners, models

__version__ = "0.1.0"

# These rooms need TensorFlow or an extra: they load at first use, so that a loss alone costs no such import.
_LAZY = ("callbacks", "compat", "data", "evaluation", "export", "index", "serving")

__all__ = ["distances", "layers", "losses", "metrics", "miners", "models", *_LAZY]


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"keras_metric.{name}")
    raise AttributeError(f"module 'keras_metric' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
