"""P×K batches from a folder of images, one sub-folder a class."""

from pathlib import Path

import numpy as np

from keras_metric import checks, extras
from keras_metric.data.pk_batches import pk_batches

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".tif", ".tiff")


def from_folder(path, image_size=(64, 64), channels=3, **kwargs):
    """P×K batches of the images of a folder, decoded once and held in memory as uint8.

    For more images than fit into memory hand file paths and a loading `map_fn` to `pk_batches`.

    Args:
        path: folder with one sub-folder a class; ids 0 … C−1 in the order of the sub-folders' names. Images of
            deeper folders belong to the class on top; hidden files and files of other kinds are passed over.
        image_size: height and width, or one number for both, to which images are resized (bilinear).
        channels: 1 (grey) or 3 (RGB).
        **kwargs: of `pk_batches`.

    Raises:
        ValueError: for a folder without images, an empty class, and unreadable images, each by name.
    """
    x, y, _ = load_folder(path, image_size, channels)
    return pk_batches(x, y, **kwargs)


def load_folder(path, image_size=(64, 64), channels=3):
    """`(images (N, height, width, channels) uint8, ids (N,), names of the classes)`; see `from_folder`."""
    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    height, width = (checks.whole(side, "image_size", "from_folder") for side in sides)
    checks.choice(channels, "channels", "from_folder", (1, 3))
    files, ids, names = folder_files(path)
    x = np.empty((len(files), height, width, channels), "uint8")
    broken = []
    for row, file in enumerate(files):
        try:
            x[row] = _pixels(file, height, width, channels)
        except Exception as error:  # Pillow raises many kinds for broken files
            if isinstance(error, ImportError):
                raise
            broken.append(f"{file} ({error})")
    if broken:
        raise ValueError(
            f"from_folder cannot read {len(broken)} of {len(files)} images: {'; '.join(broken[:5])}"
            f"{'; …' if len(broken) > 5 else ''}. Remove or replace them."
        )
    return x, ids, names


def folder_files(path):
    """`(files, ids, names)` of a folder with one sub-folder a class, everything in the order of names."""
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"`path` of from_folder must be a folder. Received: {str(path)!r}.")
    folders = sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))
    found = [
        sorted(f for f in folder.rglob("*") if f.suffix.lower() in ENDINGS and f.name[0] != ".")
        for folder in folders
    ]
    if not any(found):
        raise ValueError(
            f"from_folder finds no images in {str(path)!r}: it needs one sub-folder a class "
            f"with files such as .png or .jpg."
        )
    empty = [folder.name for folder, files in zip(folders, found, strict=True) if not files]
    if empty:
        raise ValueError(
            f"from_folder finds no images in the classes {empty} of {str(path)!r}. Fill or remove these folders."
        )
    ids = np.repeat(np.arange(len(folders), dtype="int64"), [len(files) for files in found])
    return [file for files in found for file in files], ids, [folder.name for folder in folders]


def _pixels(file, height, width, channels):
    image_module = extras.require("PIL.Image", extra="data")
    with image_module.open(file) as image:
        image = image.convert("RGB" if channels == 3 else "L")
        image = image.resize((width, height), image_module.Resampling.BILINEAR)
        return np.asarray(image).reshape(height, width, channels)
