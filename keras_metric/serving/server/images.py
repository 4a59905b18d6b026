"""Encoded images: their size before they are decoded, and their pixels as a model takes them."""

import math
import struct

import numpy as np
import tensorflow as tf

from .problems import RequestProblem, shortened

KINDS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"RIFF": "WebP",
}


def kind_of(data):
    """PNG, JPEG, GIF, BMP or WebP by the first bytes, or None."""
    kind = next((kind for magic, kind in KINDS.items() if data.startswith(magic)), None)
    return None if kind == "WebP" and data[8:12] != b"WEBP" else kind


def pixels_of(data):
    """How many pixels an encoded image claims to have, read from its headers alone; 0 for what is no image.

    Raises:
        RequestProblem: for a header that ends too early.
    """
    kind = kind_of(data)
    if kind is None:
        return 0
    try:
        return _PIXELS[kind](data)
    except (struct.error, IndexError, tf.errors.InvalidArgumentError) as error:
        raise RequestProblem(f"The {kind} image is damaged: its header gives no size.") from error


def _png(data):
    width, height = struct.unpack_from(">II", data, 16)
    return width * height


def _jpeg(data):
    height, width, _ = tf.io.extract_jpeg_shape(data).numpy().tolist()
    return width * height


def _bmp(data):
    """TensorFlow decodes uncompressed ones only, of a byte or more for each pixel; and a text may begin with BM."""
    return len(data)


def _webp(data):
    if data[12:16] == b"VP8X":
        sides = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        sides = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    else:
        sides = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return math.prod(sides)


def _gif(data):
    """All pictures of an animation: each may be larger than the first header says, and each is decoded."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _colours(flags)
    frames = pixels = 0
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:
            own_width, own_height, flags = struct.unpack_from("<HHB", data, at + 5)
            frames += 1
            pixels += own_width * own_height
            at = _after_blocks(data, at + 11 + _colours(flags))
        elif data[at] == 0x21:
            at = _after_blocks(data, at + 2)
        else:
            break
    return max(pixels, frames * width * height, width * height)


def _colours(flags):
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data, at):
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


_PIXELS = {"PNG": _png, "JPEG": _jpeg, "GIF": _gif, "BMP": _bmp, "WebP": _webp}


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
    """Whether an input looks like pixels: (batch, height, width, 1, 3 or 4), or (batch, height, width)."""
    if spec.dtype == tf.string or spec.shape.rank is None:
        return False
    if spec.shape.rank == 4:
        return spec.shape[-1] in (1, 3, 4)
    return spec.shape.rank == 3 and all(side is None or side >= 8 for side in spec.shape[1:])


def decoded(data, spec, pixel_range):
    """One encoded image as an array (height, width[, channels]) of the spec's size and dtype.

    Args:
        data: bytes of an image; of an animation its first picture.
        spec: `tf.TensorSpec` of the input, with its batch axis.
        pixel_range: what black and white become, for example (0, 255).

    Raises:
        RequestProblem: for what is no such image, or a damaged one.
    """
    if kind_of(data) is None:
        raise RequestProblem("The bytes are no PNG, JPEG, GIF, BMP or WebP image.", status=415)
    channels = spec.shape[3] if spec.shape.rank == 4 else 1
    try:
        image = tf.io.decode_image(data, channels=channels, expand_animations=False)
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
        kind = kind_of(data)
        if "Unknown image file format" in error.message:  # WebP, to TensorFlow 2.18
            raise RequestProblem(
                f"TensorFlow {tf.__version__} reads no {kind} images.", status=415
            ) from error
        raise RequestProblem(f"The {kind} image is damaged: {shortened(error.message)}") from error
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
