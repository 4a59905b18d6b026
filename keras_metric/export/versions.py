"""Version folders that appear whole or not at all."""

import contextlib
import os
import shutil
import uuid
from pathlib import Path

from keras_metric import checks


def checked_path(path):
    """The folder of the versions, as a Path; it need not exist yet."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"`path` of saved_model must be a str or a Path. "
            f"Received: {path!r} of type {type(path).__name__}."
        )
    path = Path(path)
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise NotADirectoryError(
                f"`path` of saved_model must be a folder, which takes one sub-folder for each version. "
                f"Received: {str(path)!r}, where {str(part)!r} is a file."
            )
    return path


def numbered(path):
    """Numbers of the versions in a folder, ascending; anything else in it is passed over."""
    path = Path(path)
    if not path.is_dir():
        return []
    return sorted(int(entry.name) for entry in path.iterdir() if _is_version(entry))


def _is_version(entry):
    return entry.is_dir() and entry.name.isdecimal() and entry.name == str(int(entry.name))


def chosen(path, version, overwrite):
    """The version to write: the given one, or one above the highest that is there.

    Raises:
        FileExistsError: if the given one is there and `overwrite` is false.
    """
    if version is None:
        return max(numbered(path), default=0) + 1
    version = checks.whole(version, "version", "saved_model")
    if not overwrite:
        _refuse_existing(path / str(version))
    return version


def _refuse_existing(folder):
    if os.path.lexists(folder):
        raise FileExistsError(
            f"`version` of saved_model must be new: {folder} exists. Received: version={folder.name}. "
            "Leave `version` out for the next number, or give overwrite=True to replace it."
        )


@contextlib.contextmanager
def written_aside(path, version, overwrite):
    """Gives a new folder beside the version's; it becomes the version if the block ends well.

    Until then nothing that a server would load is there, since its name is no number. A version to be overwritten is
    put aside first and comes back if the new one cannot take its place.
    """
    final = path / str(version)
    path.mkdir(parents=True, exist_ok=True)
    unfinished = path / f".{version}-unfinished-{uuid.uuid4().hex[:8]}"
    unfinished.mkdir()
    try:
        yield unfinished
        _put(unfinished, final, overwrite)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _put(unfinished, final, overwrite):
    if not os.path.lexists(final):
        os.rename(unfinished, final)
        return
    if not overwrite:  # another process was faster
        _refuse_existing(final)
    aside = final.with_name(unfinished.name.replace("unfinished", "replaced"))
    os.rename(final, aside)
    try:
        os.rename(unfinished, final)
    except BaseException:
        os.rename(aside, final)
        raise
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink()


def version_folder(path):
    """The folder of a SavedModel: `path` itself, or the highest version in it.

    Raises:
        FileNotFoundError: if there is none.
    """
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        return path
    for version in reversed(numbered(path)):
        if (path / str(version) / "saved_model.pb").is_file():
            return path / str(version)
    raise FileNotFoundError(
        f"`path` must be a version folder of a SavedModel, or its parent. Received: {str(path)!r}, which "
        f"{'holds no saved_model.pb' if path.exists() else 'does not exist'}. `export.saved_model` writes one."
    )
