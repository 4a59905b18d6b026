"""Functions that load files in the graph, for `map_fn`."""

import tensorflow as tf

from keras_metric import checks


def load_image(image_size=(64, 64), channels=3):
    """A `map_fn` from the path of an image to its pixels, uint8 (height, width, channels).

    Reads PNG, JPEG, GIF (the first picture) and BMP. Scale and augment in the model, where it travels into the export:
    `keras.layers.Rescaling`, `layers.Standardize`, `keras.layers.RandomFlip`.

    Args:
        image_size: height and width, or one number for both (bilinear, with antialiasing where it shrinks).
        channels: 1 (grey) or 3 (RGB).
    """
    height, width = sides(image_size, "load_image")
    checks.choice(channels, "channels", "load_image", (1, 3))

    def load(path):
        image = tf.io.decode_image(
            tf.io.read_file(path), channels=channels, expand_animations=False
        )
        image = tf.image.resize(image, (height, width), antialias=True)
        image = tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)
        return tf.ensure_shape(image, (height, width, channels))

    return load


def load_sound(length, sampling_rate=None):
    """A `map_fn` from the path of a WAV file (16 bit) to its samples, float32 in [-1, 1], shape (length,).

    Channels are averaged; longer sounds are cut at the end, shorter ones filled up with zeros.

    Args:
        length: samples to give.
        sampling_rate: samples a second that every file must have; None: not looked at.
    """
    length = checks.whole(length, "length", "load_sound")

    def load(path):
        samples, rate = tf.audio.decode_wav(tf.io.read_file(path))
        if sampling_rate is not None:
            wrong = "load_sound wants another sampling rate than that of the file"
            tf.debugging.assert_equal(rate, sampling_rate, message=wrong)
        samples = tf.reduce_mean(samples, axis=1)[:length]
        samples = tf.pad(samples, [[0, length - tf.size(samples)]])
        return tf.ensure_shape(samples, (length,))

    return load


def sides(image_size, owner):
    """Height and width of an image size."""
    both = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(both) != 2:
        checks.fail("image_size", owner, "be height and width, or one number", image_size)
    return tuple(checks.whole(side, "image_size", owner) for side in both)
