"""The registry of layers, found by short name."""

import keras

from keras_metric.registry import Registry

LAYERS = Registry("layer", keras.layers.Layer)
