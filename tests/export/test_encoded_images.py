"""Files of images as inputs of an exported model."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_metric import export


def encoded(image, kind, **options):
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind, **options)
    return out.getvalue()


def test_jpeg_and_png_of_any_size_and_kind():
    grey = np.tile(np.arange(0, 240, 10, dtype="uint8")[None], (20, 1))  # (20, 24)
    colour = np.stack([grey, 255 - grey, np.full_like(grey, 9)], -1)
    clear = np.concatenate([colour, np.full((20, 24, 1), 99, "uint8")], -1)
    files = [
        encoded(grey, "png"), encoded(colour, "png"), encoded(clear, "png"),
        encoded(np.tile(colour, (3, 3, 1)), "png"), encoded(colour, "jpeg", quality=100, subsampling=0),
    ]  # fmt: skip
    images = export.EncodedImages(20, 24)(tf.constant(files)).numpy()
    assert images.shape == (5, 20, 24, 3) and images.dtype == np.float32
    np.testing.assert_array_equal(images[0], np.repeat(grey[..., None], 3, -1))
    np.testing.assert_array_equal(images[1], colour)
    np.testing.assert_array_equal(images[2], colour)
    np.testing.assert_allclose(images[4], colour, atol=8)
    smaller = export.EncodedImages(10, 12, channels=1, dtype="uint8")(
        tf.constant(files[:1])
    ).numpy()
    assert smaller.shape == (1, 10, 12, 1) and smaller.dtype == np.uint8
    expected = np.asarray(Image.fromarray(grey).resize((12, 10), Image.BILINEAR))
    np.testing.assert_allclose(smaller[0, ..., 0].astype(int), expected.astype(int), atol=1)
    assert export.EncodedImages(4, 4)(tf.constant([], tf.string)).shape == (0, 4, 4, 3)


def bomb(width, height):
    """A PNG file of 70 bytes that claims to be huge."""
    header = b"\x00\x00\x00\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + header + b"\x08\x02\x00\x00\x00" + b"\x00" * 37


PIXELS = np.zeros((30, 40, 3), "uint8")
BAD = [
    (b"GIF89a" + bytes(40), "neither a JPEG nor a PNG"),
    (b"", "neither a JPEG nor a PNG"),
    (b"\x89PNG\r\n\x1a\n", None),
    (encoded(PIXELS, "png")[:60], None),
    (encoded(PIXELS, "jpeg")[:40], None),
    (encoded(PIXELS, "jpeg"), "more than 1000 pixels"),
    (encoded(PIXELS, "png"), "more than 1000 pixels"),
    (bomb(60_000, 60_000), "more than 1000 pixels"),
    (bomb(2**32 - 1, 2**32 - 1), "more than 1000 pixels"),
]


@pytest.mark.parametrize("content, message", BAD)
def test_what_is_refused(content, message):
    decode = tf.function(export.EncodedImages(8, 8, max_pixels=1000))
    good = encoded(PIXELS[:5, :5], "png")
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode(tf.constant([good, content]))
    assert decode(tf.constant([good])).shape == (1, 8, 8, 3)


def test_bad_arguments():
    for change in ({"height": 0}, {"channels": 2}, {"max_pixels": 0}):
        message = f"`{next(iter(change))}` of EncodedImages"
        with pytest.raises(ValueError, match=message):
            export.EncodedImages(**{"height": 4, "width": 4, **change})
