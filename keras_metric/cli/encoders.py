"""The encoders that the command trains: small, for the shape of the examples at hand."""

import keras
from keras import layers

from keras_metric.cli.problems import Failure

FLAT_SIDE = 3  # images are halved until no side is longer than this


def build(x, embedding_dim, width=32, augment=True):
    """An encoder named `encoder`, from raw examples to embeddings of length 1.

    Args:
        x: training examples (N, ...): features (N, F) or images (N, H, W) or (N, H, W, channels). Their mean and
            deviation become part of the encoder.
        embedding_dim: length of an embedding.
        width: filters of the first convolution; a quarter of the units of a dense layer.
        augment: for images, whether training shifts, turns and stretches them a little.
    """
    if x.ndim not in (2, 3, 4):
        raise Failure(
            f"examples must be features, grey or colour images; they have shape {x.shape}"
        )
    inputs = keras.Input(x.shape[1:], name="inputs")
    mean, variance = float(x.mean(dtype="float64")), float(x.var(dtype="float64"))
    h = layers.Normalization(axis=None, mean=mean, variance=max(variance, 1e-12))(inputs)
    h = _dense(h, width) if x.ndim == 2 else _convolutions(h, width, augment)
    h = layers.Dense(embedding_dim, name="embedding")(h)
    return keras.Model(inputs, layers.UnitNormalization(name="unit_length")(h), name="encoder")


def _dense(h, width):
    for _ in range(2):
        h = layers.Dense(4 * width, activation="relu")(h)
    return h


def _convolutions(h, width, augment):
    if len(h.shape) == 3:
        h = layers.Reshape((*h.shape[1:], 1))(h)
    if augment:
        h = layers.RandomTranslation(0.08, 0.08, fill_mode="nearest", name="shift")(h)
        h = layers.RandomRotation(0.03, fill_mode="nearest", name="turn")(h)
    h = _block(h, width, strides=2 if max(h.shape[1:3]) > 32 else 1)
    filters = width
    while max(h.shape[1:3]) > FLAT_SIDE:
        filters = min(2 * filters, 8 * width)
        h = layers.MaxPooling2D(2, padding="same")(_block(h, filters))
    return layers.Flatten()(h)


def _block(h, filters, strides=1):
    h = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(h)
    # The usual momentum of 0.99 is too slow for runs of a few hundred steps.
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h))
