"""The registry of layers, found by short name.

Layers here compute in float32 under every policy: `autocast=False` keeps their inputs, and the same on each weight
keeps the weight, which Keras would otherwise cast where the layer is called outside a model.
"""

import keras

from keras_metric.registry import Registry

LAYERS = Registry("layer", keras.layers.Layer)
