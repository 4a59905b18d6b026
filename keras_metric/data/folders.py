"""Folders of files with one sub-folder a class."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_metric import checks
from keras_metric.data.report import few

IMAGE_ENDINGS = (
    ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".tif", ".tiff",
)  # fmt: skip
SOUND_ENDINGS = (".wav",)
_ENDINGS = {"image": IMAGE_ENDINGS, "sound": SOUND_ENDINGS}
_OWNER = "from_folder"


class Files(NamedTuple):
    """What a folder holds: files, their ids (N,), the names of the classes, and what files they are."""

    paths: list
    ids: np.ndarray
    names: list
    kind: str
    empty: list  # names of classes without files, which have no id

    def rows(self, which):
        """Only some of the files."""
        return self._replace(paths=[self.paths[row] for row in which], ids=self.ids[which])


def class_folders(path):
    """The sub-folders of a folder in the order of names, without hidden ones."""
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"`path` of {_OWNER} must be a folder. Received: {str(path)!r}.")
    return sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))


def files_below(folder, endings):
    """Files of some endings in a folder and all below it, in the order of names, without hidden ones."""
    found = (f for f in folder.rglob("*") if f.suffix.lower() in endings and f.name[0] != ".")
    return sorted(f for f in found if f.is_file())


def folder_files(path, kind=None, on_error="raise"):
    """The `Files` of a folder with one sub-folder a class, everything in the order of names.

    Args:
        kind: "image", "sound", or None for what is there.
        on_error: "skip" passes over classes without files.
    """
    folders = class_folders(path)
    kinds = (
        _ENDINGS
        if kind is None
        else {checks.choice(kind, "kind", _OWNER, tuple(_ENDINGS)): _ENDINGS[kind]}
    )
    found = {
        name: [files_below(folder, ends) for folder in folders] for name, ends in kinds.items()
    }
    there = [name for name, of_class in found.items() if any(of_class)]
    if not there:
        raise ValueError(
            f"{_OWNER} finds no {' and no '.join(f'{name}s' for name in kinds)} in {str(path)!r}: it needs one "
            "sub-folder a class with files such as .png, .jpg or .wav."
        )
    if len(there) > 1:
        raise ValueError(
            f'{_OWNER} finds images and sounds in {str(path)!r}. Say which with kind="image" or "sound".'
        )
    of_class = found[there[0]]
    empty = [folder.name for folder, files in zip(folders, of_class, strict=True) if not files]
    if empty and on_error != "skip":
        raise ValueError(
            f"{_OWNER} finds no {there[0]}s in the classes [{few([repr(name) for name in empty])}] of {str(path)!r}. "
            'Fill or remove these folders, or pass over them with on_error="skip".'
        )
    of_class = [files for files in of_class if files]
    names = [folder.name for folder in folders if folder.name not in empty]
    ids = np.repeat(np.arange(len(names), dtype="int64"), [len(files) for files in of_class])
    return Files([file for files in of_class for file in files], ids, names, there[0], empty)
