import keras
import numpy as np
import pytest

from keras_metric import layers


@pytest.fixture(scope="session")
def encoder():
    """A small encoder of images with layers that act otherwise in training, and statistics that are not the first."""
    keras.utils.set_random_seed(3)
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.RandomTranslation(0.2, 0.2),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(6),
            layers.Normalize(),
        ],
        name="encoder",
    )
    encoder.compile("sgd", loss="mse")
    encoder.fit(images(32), np.zeros((32, 6)), verbose=0)
    return encoder


def images(count, seed=0):
    """Raw images (count, 8, 8, 1)."""
    return np.random.default_rng(seed).normal(0.3, 1, (count, 8, 8, 1)).astype("float32")
