"""Preprocessing for models that are sent image files."""

import tensorflow as tf

from keras_metric import checks

OWNER = "EncodedImages"
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


class EncodedImages:
    """Turns the bytes of JPEG and PNG files into images (B, height, width, channels), in TensorFlow's graph.

        export.saved_model(encoder, path, preprocessing=export.EncodedImages(28, 28, channels=1))

    Clients then send files as they are. Images are resized with anti-aliasing; transparency and the turns that EXIF
    data asks for are left out. The size that a file claims is looked at before it is decoded, so that a small file
    cannot ask for gigabytes.

    Args:
        height, width: of the images that the encoder takes.
        channels: 1 (grey) or 3 (colours).
        dtype: of the images, whose values are those of pixels, 0 to 255.
        max_pixels: largest image that is decoded.

    Raises (when it runs): tf.errors.InvalidArgumentError for bytes that are neither, damaged or too large.
    """

    input_signature = tf.TensorSpec((None,), tf.string, name="inputs")

    def __init__(
        self, height, width, channels=3, dtype: str | tf.DType = "float32", max_pixels=50_000_000
    ):
        self.height = checks.whole(height, "height", OWNER)
        self.width = checks.whole(width, "width", OWNER)
        if channels not in (1, 3):
            raise ValueError(
                f"`channels` of {OWNER} must be 1 or 3. Received: channels={channels!r}."
            )
        self.channels = channels
        self.dtype = tf.as_dtype(dtype)
        self.max_pixels = checks.whole(max_pixels, "max_pixels", OWNER)

    def __call__(self, contents):
        """Images of a batch of files (B,)."""
        contents = tf.convert_to_tensor(contents, tf.string)
        shape = (self.height, self.width, self.channels)
        return tf.map_fn(
            self._image, contents, fn_output_signature=tf.TensorSpec(shape, self.dtype)
        )

    def _image(self, content):
        is_png = tf.strings.substr(content, 0, len(PNG)) == PNG
        is_jpeg = tf.strings.substr(content, 0, len(JPEG)) == JPEG
        known = tf.debugging.Assert(
            is_png | is_jpeg, ["An input is neither a JPEG nor a PNG file."]
        )
        with tf.control_dependencies([known]):
            sides = tf.cond(is_png, lambda: _png_sides(content), lambda: _jpeg_sides(content))
        small = tf.debugging.Assert(
            tf.reduce_prod(tf.cast(sides, tf.float64)) <= self.max_pixels,
            [
                f"An image of more than {self.max_pixels} pixels is not decoded; its sides are",
                sides,
            ],
        )
        with tf.control_dependencies([known, small]):
            content = tf.identity(content)
        image = tf.cond(
            is_png,
            lambda: tf.io.decode_png(content, self.channels),
            lambda: tf.io.decode_jpeg(content, self.channels),
        )
        image = tf.image.resize(image, (self.height, self.width), antialias=True)
        return image if self.dtype.is_floating else tf.cast(tf.round(image), self.dtype)


def _png_sides(content):
    """Height and width from the first chunk of a PNG file, (2,) int64."""
    # Bytes that are missing count as zero; decoding will refuse such a file.
    header = tf.strings.substr(content + tf.constant(b"\0" * 24), 16, 8)
    numbers = tf.cast(tf.io.decode_raw(header, tf.uint8), tf.int64)
    return tf.reduce_sum(tf.reshape(numbers, (2, 4)) * [1 << 24, 1 << 16, 1 << 8, 1], axis=1)[::-1]


def _jpeg_sides(content):
    return tf.cast(tf.image.extract_jpeg_shape(content)[:2], tf.int64)
