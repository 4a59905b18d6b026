"""Looks a data set over before anything is trained on it: classes, broken files, duplicates, a picture of it."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_metric import extras
from keras_metric.data.depth import eight_bits
from keras_metric.data.folders import IMAGE_ENDINGS, SOUND_ENDINGS, class_folders, files_below
from keras_metric.data.readable import plain

_SIDE = 64  # pixels of a small picture
_COLUMNS = 8
_ROWS = 40  # classes that a contact sheet shows


class Inspection(NamedTuple):
    """What `inspect_folder` and `inspect_arrays` find."""

    counts: dict  # class → readable examples
    broken: list  # (file or row, reason)
    duplicates: list  # [[(file or row, class), …], …] with the same bytes
    other_files: int  # of kinds that nothing here reads
    pictures: dict  # class → a few small pictures, uint8 (height, width, 3)

    @property
    def singletons(self):
        """Classes with one readable example, which serve as negatives only."""
        return [name for name, count in self.counts.items() if count == 1]

    @property
    def empty(self):
        """Classes without a readable example."""
        return [name for name, count in self.counts.items() if count == 0]


def inspect_folder(path):
    """Reads every image and sound of a folder with one sub-folder a class.

    Returns:
        `Inspection`; classes are in the order of names.
    """
    folders = class_folders(path)
    if not folders:
        raise ValueError(
            f"inspect finds no folders in {str(path)!r}: it needs one sub-folder a class."
        )
    counts, broken, pictures, by_bytes, others = {}, [], {}, {}, 0
    with ThreadPoolExecutor() as pool:
        for folder in folders:
            files = files_below(folder, IMAGE_ENDINGS + SOUND_ENDINGS)
            everything = (f for f in folder.rglob("*") if f.is_file() and f.name[0] != ".")
            others += sum(1 for _ in everything) - len(files)
            counts[folder.name] = 0
            shown = pictures.setdefault(folder.name, [])
            for file, (digest, small, why) in zip(files, pool.map(_look_at, files), strict=True):
                if why is not None:
                    broken.append((str(file), why))
                    continue
                counts[folder.name] += 1
                by_bytes.setdefault(digest, []).append((str(file), folder.name))
                if small is not None and len(shown) < _COLUMNS:
                    shown.append(small)
    same = [found for found in by_bytes.values() if len(found) > 1]
    return Inspection(counts, broken, same, others, pictures)


def inspect_arrays(x, labels):
    """Looks through arrays (N, …) and labels (N,): NaN counts as broken, equal rows are duplicates."""
    names, of_row = np.unique(np.asarray(labels), return_inverse=True)
    names, of_row = [str(name) for name in names], of_row.reshape(-1)
    counts, broken, by_bytes = dict.fromkeys(names, 0), [], {}
    pictures = {name: [] for name in names}
    brightest = float(np.nanmax(x)) if x.dtype.kind == "f" and x.size else 255.0
    for row, (content, number) in enumerate(zip(x, of_row, strict=True)):
        name = names[number]
        if content.dtype.kind == "f" and not np.isfinite(content).all():
            broken.append((f"row {row}", "NaN or infinity"))
            continue
        counts[name] += 1
        digest = _digest(np.ascontiguousarray(content).tobytes())
        by_bytes.setdefault(digest, []).append((f"row {row}", name))
        if len(pictures[name]) < _COLUMNS and _is_picture(content):
            pictures[name].append(_as_picture(content, brightest))
    same = [found for found in by_bytes.values() if len(found) > 1]
    return Inspection(counts, broken, same, 0, pictures)


def contact_sheet(inspection):
    """A picture (height, width, 3) with a row of examples for each class, or None without any image.

    Of more classes than fit, evenly chosen ones are shown.
    """
    drawing = extras.require("PIL.ImageDraw", extra="data")
    image_module = extras.require("PIL.Image", extra="data")
    names = [name for name, shown in inspection.pictures.items() if shown]
    if not names:
        return None
    if len(names) > _ROWS:
        names = [names[i] for i in np.linspace(0, len(names) - 1, _ROWS).round().astype(int)]
    text = 16
    sheet = image_module.new(
        "RGB", (_COLUMNS * (_SIDE + 4) + 4, len(names) * (_SIDE + text + 4) + 4), "white"
    )
    pen = drawing.Draw(sheet)
    for row, name in enumerate(names):
        top = 4 + row * (_SIDE + text + 4)
        label = f"{name} ({inspection.counts[name]})".encode("latin-1", "replace").decode("latin-1")
        pen.text((4, top), label, fill="black")
        for column, picture in enumerate(inspection.pictures[name]):
            small = image_module.fromarray(picture)
            small.thumbnail((_SIDE, _SIDE))
            times = max(1, _SIDE // max(small.size))  # few pixels are shown large, each as a square
            small = small.resize((small.width * times, small.height * times), image_module.NEAREST)
            sheet.paste(small, (4 + column * (_SIDE + 4), top + text))
    return np.asarray(sheet)


def _look_at(file):
    """`(digest, small picture or None, None)` of a file, or `(None, None, reason)`."""
    try:
        content = Path(file).read_bytes()
        small = _sound(content) if file.suffix.lower() in SOUND_ENDINGS else _image(file)
    except Exception as error:  # Pillow raises many kinds for broken files
        if isinstance(error, ImportError):
            raise
        return None, None, plain(error)
    return _digest(content), small, None


def _digest(content):
    return hashlib.blake2b(content, digest_size=16).digest()


def _image(file):
    image_module = extras.require("PIL.Image", extra="data")
    with image_module.open(file) as image:
        image = eight_bits(image).convert("RGB")
        image.thumbnail((_SIDE, _SIDE))
        return np.asarray(image)


def _sound(content):
    import tensorflow as tf

    with tf.device("/CPU:0"):
        tf.audio.decode_wav(content)


def _is_picture(content):
    return content.ndim == 2 or (content.ndim == 3 and content.shape[-1] in (1, 3))


def _as_picture(content, brightest):
    """Pixels as uint8 RGB; floats up to 1 are taken as 0 … 1, others as 0 … 255 or up to the largest."""
    content = content if content.ndim == 3 else content[..., None]
    if content.dtype != np.uint8:
        top = 1.0 if brightest <= 1 else max(brightest, 1.0)
        top = 255.0 if content.dtype.kind != "f" else top
        content = np.clip(content.astype("float32") / top * 255, 0, 255).astype("uint8")
    return np.ascontiguousarray(np.broadcast_to(content, (*content.shape[:2], 3)))
