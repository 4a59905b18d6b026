"""Encoded images: their size before they are decoded, and their pixels as a model takes them."""

import struct

import numpy as np
import tensorflow as tf

from .problems import RequestProblem, shortened

KINDS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP"}


def kind_of(data):
    """PNG, JPEG, GIF or BMP by the first bytes, or None."""
    return next((kind for magic, kind in KINDS.items() if data.startswith(magic)), None)


def pixels_of(data):
    """How many pixels an encoded image claims to have, read from its header alone; 0 for what is no image.

    Raises:
        RequestProblem: for a header that ends too early.
    """
    kind = kind_of(data)
    try:
        if kind == "PNG":
            height, width = struct.unpack_from(">II", data, 16)
        elif kind == "GIF":
            height, width = struct.unpack_from("<HH", data, 6)
        elif kind == "BMP":
            height, width = (abs(side) for side in struct.unpack_from("<ii", data, 18))
        elif kind == "JPEG":
            height, width = (int(side) for side in tf.io.extract_jpeg_shape(data)[:2])
        else:
            return 0
    except (struct.error, tf.errors.InvalidArgumentError) as error:
        raise RequestProblem(f"The {kind} image is damaged: its header gives no size.") from error
    return height * width


def check_pixels(encoded, largest):
    """Refuses encoded images that together would decode to more than `largest` pixels, before any is decoded."""
    total = 0
    for data in encoded:
        total += pixels_of(data)
        if total > largest:
            raise RequestProblem(
                f"The encoded images of a request may have {largest:,} pixels together. Received: {total:,} or more.",
                status=413,
            )


def takes_images(spec):
    """Whether an input looks like pixels: (batch, height, width, 1, 3 or 4), or (batch, height, width) of bytes."""
    if spec.dtype == tf.string or spec.shape.rank is None:
        return False
    if spec.shape.rank == 4:
        return spec.shape[-1] in (1, 3, 4)
    return spec.shape.rank == 3 and (spec.dtype == tf.uint8 or min(spec.shape[1:]) >= 8)


def decoded(data, spec, pixel_range):
    """One encoded image as an array (height, width[, channels]) of the spec's size and dtype.

    Args:
        data: bytes of a PNG, JPEG, GIF (its first picture) or BMP.
        spec: `tf.TensorSpec` of the input, with its batch axis.
        pixel_range: what black and white become, for example (0, 255).

    Raises:
        RequestProblem: for what is no such image, or a damaged one.
    """
    if kind_of(data) is None:
        raise RequestProblem("The bytes are no PNG, JPEG, GIF or BMP image.", status=415)
    channels = spec.shape[3] if spec.shape.rank == 4 else 1
    try:
        image = tf.io.decode_image(data, channels=channels, expand_animations=False)
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
        raise RequestProblem(
            f"The {kind_of(data)} image is damaged: {shortened(error.message)}"
        ) from error
    image = tf.cast(image, tf.float32)
    height, width = spec.shape[1:3]
    if (height or image.shape[0], width or image.shape[1]) != tuple(image.shape[:2]):
        size = (height or image.shape[0], width or image.shape[1])
        image = tf.image.resize(image, size, antialias=True)
    low, high = pixel_range
    pixels = low + image.numpy() * ((high - low) / 255)
    if spec.dtype.is_integer:
        bounds = np.iinfo(spec.dtype.as_numpy_dtype)
        pixels = np.clip(np.rint(pixels), bounds.min, bounds.max)
    pixels = pixels.astype(spec.dtype.as_numpy_dtype)
    return pixels if spec.shape.rank == 4 else pixels[..., 0]
