"""One exported model, and one server of it: colours stand for classes."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_metric import export
from keras_metric.index import Index
from keras_metric.serving import Limits, LocalServer

COLOURS = {"red": (200, 30, 30), "green": (30, 190, 40), "blue": (20, 40, 210)}
THRESHOLD = 0.2
LIMITS = Limits(rows=300, pixels=1_000_000, body=2**20)


def squares(name, count=1, seed=0, side=16):
    """Images (count, side, side, 3) of one colour with some noise."""
    noise = np.random.default_rng(seed).integers(-20, 21, (count, side, side, 3))
    return np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype("uint8")


def png(image):
    """The bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def mean_colours(images):
    """What the encoder should give, in NumPy."""
    return images.astype("float64").mean(axis=(1, 2)) / 255


@pytest.fixture(scope="session")
def gallery():
    """Images and ids of the index."""
    images = np.concatenate([squares(name, 5, seed) for seed, name in enumerate(COLOURS)])
    ids = [f"{name}/{number}.png" for name in COLOURS for number in range(5)]
    return images, ids


@pytest.fixture(scope="session")
def exported(gallery, tmp_path_factory):
    """Folder of a SavedModel of mean colours, with an index of the gallery and a threshold."""
    inputs = keras.Input((16, 16, 3))
    scaled = keras.layers.Rescaling(1 / 255)(inputs)
    encoder = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(scaled), name="encoder")
    images, ids = gallery
    index = Index("euclidean")
    index.add(
        mean_colours(images).astype("float32"),
        ids=ids,
        labels=[name.partition("/")[0] for name in ids],
    )
    path = tmp_path_factory.mktemp("exported") / "colours"
    export.saved_model(
        encoder,
        path,
        index=index,
        threshold=THRESHOLD,
        k=4,
        version=3,
        input_signature=tf.TensorSpec((None, 16, 16, 3), tf.uint8),
        preprocessing=lambda x: tf.cast(x, tf.float32),
    )
    return path


@pytest.fixture(scope="session")
def pictures(gallery, tmp_path_factory):
    """Folder with the images of the gallery, by id."""
    folder = tmp_path_factory.mktemp("pictures")
    for image, name in zip(*gallery, strict=True):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(png(np.repeat(np.repeat(image, 4, 0), 4, 1)))
    return folder


@pytest.fixture(scope="session")
def served(exported, pictures):
    """A server of both protocols, small limits, shared by all tests that leave it running."""
    pytest.importorskip("tensorflow_serving.apis")
    with LocalServer(
        exported, port=0, grpc_port=0, limits=LIMITS, images=pictures, idle_seconds=5.0
    ) as app:
        yield app
