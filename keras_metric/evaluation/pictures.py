"""Small pictures of items of a data set, whatever numbers they are stored as."""

import numpy as np


def is_images(x):
    """Whether an array holds images: (N, H, W), or (N, H, W, C) with C of 1, 3 or 4."""
    return x.dtype.kind in "uifbV" and (x.ndim == 3 or (x.ndim == 4 and x.shape[3] in (1, 3, 4)))


def as_images(images, owner):
    """An array of images, checked.

    Raises:
        ValueError: for other shapes.
    """
    images = np.asarray(images)
    if not is_images(images):
        raise ValueError(
            f"`images` of {owner} must be of shape (N, H, W) or (N, H, W, C) with 1, 3 or 4 channels. "
            f"Received: {images.dtype} of shape {images.shape}."
        )
    return images


def to_pixels(images):
    """Images as uint8, (n, H, W) or (n, H, W, 3 or 4).

    uint8 stays as it is, numbers within [0, 1] are stretched to 0…255, and of others the least becomes black and the
    largest white.

    Args:
        images: (n, H, W), or (n, H, W, C) with C of 1, 3 or 4.
    """
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.dtype == "uint8" or not images.size:
        return images.astype("uint8")
    images = images.astype("float32")
    known = images[np.isfinite(images)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    images = np.nan_to_num(images, nan=low, posinf=high, neginf=low)
    return np.round((images - low) * (255 / ((high - low) or 1.0))).astype("uint8")
