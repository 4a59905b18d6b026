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


def span(images):
    """The numbers that become black and white: those of the type, [0, 1] for numbers within it, or the extremes."""
    if images.dtype == "uint8" or not images.size:
        return 0.0, 255.0
    known = images[np.isfinite(images)] if images.dtype.kind in "fV" else images
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def to_pixels(images, within=None):
    """Images as uint8, (n, H, W) or (n, H, W, 3 or 4).

    Args:
        images: (n, H, W), or (n, H, W, C) with C of 1, 3 or 4.
        within: (black, white); None: `span(images)`.
    """
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.dtype == "uint8" or not images.size:
        return images.astype("uint8")
    low, high = within or span(images)
    images = np.nan_to_num(images.astype("float32"), nan=low, posinf=high, neginf=low)
    shade = (np.clip(images, low, high) - low) / ((high - low) or 1.0)
    return np.round(255 * shade).astype("uint8")
