"""Thumbnails in one picture, row by row, as TensorBoard's projector takes them."""

import os

import numpy as np

OWNER = "EmbeddingProjector"
LARGEST_SIDE = 8192  # TensorBoard shows no larger picture


def as_pixels(images, rows):
    """Images as bytes (N, H, W, C) with C of 1, 3 or 4.

    Floats in [0, 1] are stretched to 0…255; floats of another range from their least to their greatest value.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"`images` of {OWNER} must have the shape (N, H, W) or (N, H, W, C) with C of 1, 3 or 4. "
            f"Received: shape {images.shape}."
        )
    if len(images) != rows:
        raise ValueError(
            f"`x` and `images` of {OWNER} must have the same number of rows. Received: {rows} and {len(images)}."
        )
    if images.dtype == "uint8":
        return images
    low, high = float(images.min()), float(images.max())
    if 0 <= low and high <= 1:
        low, high = 0.0, 1.0
    elif 0 <= low and 1 < high <= 255:
        low, high = 0.0, 255.0
    scaled = (images - low) * (255.0 / ((high - low) or 1.0))
    return np.round(scaled).astype("uint8")


def write_sprite(path, pixels, largest):
    """Writes the picture; returns the height and width of one thumbnail.

    Args:
        path: of the PNG file.
        pixels: bytes (N, H, W, C).
        largest: side of a thumbnail that is not exceeded.
    """
    import tensorflow as tf

    n = len(pixels)
    columns = int(np.ceil(np.sqrt(n)))
    largest = max(min(largest, LARGEST_SIDE // columns), 1)
    height, width = pixels.shape[1:3]
    if max(height, width) > largest:
        share = largest / max(height, width)
        height, width = max(int(height * share), 1), max(int(width * share), 1)
        parts = [
            tf.image.resize(pixels[i : i + 512], (height, width), method="area").numpy()
            for i in range(0, n, 512)
        ]
        pixels = np.round(np.concatenate(parts)).astype("uint8")
    channels = pixels.shape[-1]
    sheet = np.zeros((columns * columns, height, width, channels), "uint8")
    sheet[:n] = pixels
    sheet = sheet.reshape(columns, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(columns * height, columns * width, channels)
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(tf.io.encode_png(sheet).numpy())
    os.replace(aside, path)
    return height, width
