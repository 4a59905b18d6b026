"""Reads examples from a folder of images, an `.npz` file or TensorFlow Datasets."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_metric import extras
from keras_metric.cli.problems import Failure
from keras_metric.data.depth import eight_bits

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".tif", ".tiff")
ARRAY_NAMES = (("x", "y"), ("images", "labels"), ("x_train", "y_train"), ("data", "target"))
FOLDER_IMAGE_SIZE = 64


class Examples(NamedTuple):
    """Inputs (N, ...), class ids (N,), the name of each class, and where each row came from."""

    x: np.ndarray
    y: np.ndarray
    class_names: list
    origins: list

    def rows(self, which):
        """The examples at the given indices."""
        origins = [self.origins[row] for row in which]
        return Examples(self.x[which], self.y[which], self.class_names, origins)


def read(path=None, dataset=None, split="train", data_dir=None, image_size=None):
    """Reads examples from wherever they are.

    Args:
        path: folder of images (one sub-folder a class) or `.npz` file; None with `dataset`.
        dataset: name in TensorFlow Datasets, or None.
        split, data_dir: of `dataset`.
        image_size: (height, width) to which images are resized; None: 64 × 64 for folders, as they are otherwise.
    """
    if dataset:
        examples = _from_tfds(dataset, split, data_dir, image_size)
    else:
        path = Path(path)
        if path.is_dir():
            examples = _from_folder(path, image_size or (FOLDER_IMAGE_SIZE, FOLDER_IMAGE_SIZE))
        elif path.is_file():
            examples = read_arrays(path)
        else:
            raise Failure(f"{path}: no such folder or file")
    _check(examples, dataset or path)
    return examples


def _check(examples, where):
    if not len(examples.x):
        raise Failure(f"{where}: holds no examples")
    if examples.x.dtype.kind == "f":
        bad = ~np.isfinite(examples.x.reshape(len(examples.x), -1)).all(axis=1)
        if bad.any():
            raise Failure(
                f"{where}: NaN or infinity in {bad.sum()} of {len(bad)} examples, "
                f"first in {examples.origins[int(np.argmax(bad))]}; leave them out or repair them"
            )


def _named_ids(labels):
    names, ids = np.unique(np.asarray(labels), return_inverse=True)
    return ids.reshape(-1).astype("int64"), [str(name) for name in names]


def read_arrays(path):
    """The `Examples` of an `.npz` file, with NaN where it has some."""
    if path.exists() and not zipfile.is_zipfile(path):  # NumPy would speak of pickles
        raise Failure(f"{path}: is no .npz file, as numpy.savez writes it, or a torn one")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise Failure(f"{path}: is no readable .npz file ({error})") from error
    except Exception as error:  # zipfile and zlib raise their own kinds for a damaged file
        raise Failure(f"{path}: is a damaged .npz file ({error})") from error
    for inputs, labels in ARRAY_NAMES:
        if inputs in found and labels in found:
            x, y = found[inputs], found[labels]
            break
    else:
        raise Failure(f"{path}: needs the arrays x and y; it holds {sorted(found) or 'nothing'}")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or len(x) != len(y):
        raise Failure(
            f"{path}: x and y need the same number of rows, y one id each; "
            f"they have the shapes {x.shape} and {y.shape}"
        )
    if x.ndim < 2 or x.dtype.kind not in "uifb":
        raise Failure(f"{path}: x must be numbers with 2 or more axes; it is {x.dtype} {x.shape}")
    if y.dtype.kind == "f" and not np.array_equal(y, np.round(y)):
        raise Failure(f"{path}: y must hold whole numbers or words as class ids")
    ids, names = _named_ids(y)
    return Examples(x, ids, names, [f"row {row}" for row in range(len(x))])


def _from_folder(path, image_size):
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    files, labels = [], []
    for folder in folders:
        images = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_ENDINGS)
        files += images
        labels += [folder.name] * len(images)
    if not files:
        raise Failure(
            f"{path}: holds no images; it needs one sub-folder a class with files such as .png or .jpg"
        )
    x = np.stack(_same_channels([read_image(file, image_size) for file in files]))
    ids, names = _named_ids(labels)
    return Examples(x, ids, names, [str(file) for file in files])


def read_image(file, image_size):
    """An image file as uint8 (height, width, 1 or 3)."""
    image_module = extras.require("PIL.Image", extra="data")
    try:
        with image_module.open(file) as image:
            image = eight_bits(image)
            image = image.convert("L" if image.mode in ("1", "L") else "RGB")
            if image_size:
                image = image.resize((image_size[1], image_size[0]), image_module.BILINEAR)
            pixels = np.asarray(image)
    except Exception as error:  # Pillow raises many kinds for a broken file
        raise Failure(
            f"{file}: is no readable image ({error}); remove or replace it. "
            "`keras-metric data inspect` lists all that are broken"
        ) from error
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _same_channels(images):
    if len({image.shape[-1] for image in images}) == 1:
        return images
    return [np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image for image in images]


def _from_tfds(name, split, data_dir, image_size):
    tfds = extras.require("tensorflow_datasets", extra="data")
    try:
        stored = tfds.load(name, split=split, data_dir=data_dir)
        features = list(tfds.as_numpy(stored))
    except Exception as error:  # not known, not prepared and no network, no such split, ...
        raise Failure(
            f"the TFDS data set {name!r} (split {split!r}) could not be had: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}; "
            "check the name and the split, prepare it where there is a network, or point --data-dir to it"
        ) from error
    if not features:
        raise Failure(f"the split {split!r} of {name!r} holds no examples")
    inputs = next((key for key in ("image", "x", "features") if key in features[0]), None)
    if inputs is None or "label" not in features[0]:
        raise Failure(f"{name!r} has no image and label; it has {sorted(features[0])}")
    images = [_resized(example[inputs], image_size) for example in features]
    if len({image.shape for image in images}) > 1:
        raise Failure(f"the images of {name!r} differ in size; give --image-size PIXELS")
    ids, names = _named_ids([example["label"] for example in features])
    return Examples(np.stack(images), ids, names, [f"example {i}" for i in range(len(images))])


def _resized(image, image_size):
    if image_size is None or image.ndim != 3 or image.shape[:2] == tuple(image_size):
        return image
    image_module = extras.require("PIL.Image", extra="data")
    squeezed = image[..., 0] if image.shape[-1] == 1 else image
    resized = image_module.fromarray(squeezed).resize(image_size[::-1], image_module.BILINEAR)
    pixels = np.asarray(resized)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def held_out(y, share, seed=0):
    """Indices (kept, held out): the same share of every class, at least one kept, always the same for a seed."""
    random = np.random.default_rng(seed)
    taken = []
    for class_id in np.unique(y):
        rows = random.permutation(np.flatnonzero(y == class_id))
        taken.append(rows[: min(round(len(rows) * share), len(rows) - 1)])
    taken = np.sort(np.concatenate(taken))
    return np.setdiff1d(np.arange(len(y)), taken), taken
