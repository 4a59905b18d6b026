"""Indexes in folders: arrays and JSON, no pickle, and never half an index.

    PATH/index.json           what it is, its distance, and size and check sum of each file
    PATH/data-1f2e3d4c/       vectors.npy, ids.npy, labels.npy, codes.npy, scaling.npy, payload.json

Saving writes a new data folder and then exchanges `index.json`, which names it, in one step: whenever the process is
killed, the folder holds a whole index, the old or the new one.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_metric.distances import DISTANCES
from keras_metric.index.items import Items

FORMAT, FORMAT_VERSION = "keras_metric.index", 1
HEAD = "index.json"
FOLDER = re.compile(r"data-[0-9a-f]{8}")
ARRAYS = ("vectors", "ids", "labels", "codes", "scaling")
SETTINGS = {"backend": "exact", "storage": "float32", "rescore": None}
CHUNK = 1 << 20
SUM = "checksum"


def save(path, items, distance, settings, codes=None):
    """Writes an index; see `Index.save`.

    Args:
        settings: values of `SETTINGS`.
        codes: `codes.Codes`, or None.
    """
    path = Path(path)
    name = DISTANCES.name_of(distance)
    if name is None:
        raise TypeError(
            f"`distance` of Index must be registered to be saved. Received: {distance!r}. "
            "Decorate its class with keras_metric.distances.DISTANCES.register('its_name')."
        )
    payload = None
    if items.payload is not None:
        try:
            payload = json.dumps(items.payload, ensure_ascii=False).encode()
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"`payload` of Index must fit into JSON to be saved: {error}."
            ) from error
    _check_ours(path)
    new = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        _save(path, new, items, name, distance, settings, codes, payload)


@contextlib.contextmanager
def _alone(path):
    """Lets one at a time write into a folder, so that none sweeps away what another is about to name."""
    try:
        import fcntl
    except ImportError:  # Windows: savings at the same time are the user's to avoid
        yield
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _save(path, new, items, name, distance, settings, codes, payload):
    folder = path / f"data-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir(parents=True)
        head = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "folder": folder.name,
            "distance": {"name": name, "config": distance.get_config()},
            **settings,
            "items": items.count,
            "dimensions": items.width,
            "files": _write(folder, _arrays_of(items, codes), payload),
        }
        unfinished = folder / HEAD
        unfinished.write_text(json.dumps(head, indent=2) + "\n", encoding="utf-8")
        os.replace(unfinished, path / HEAD)
    except BaseException:
        shutil.rmtree(path if new else folder, ignore_errors=True)
        raise
    for old in path.iterdir():
        if FOLDER.fullmatch(old.name) and old != folder:
            shutil.rmtree(old, ignore_errors=True)


def _check_ours(path):
    """Refuses to write where something else is."""
    if path.is_dir():
        strange = [one.name for one in path.iterdir() if not _ours(one)]
        if not strange:
            return
        raise FileExistsError(
            f"`path` of Index.save must be a new folder, or one that holds an index. Received: {str(path)!r}, "
            f"which holds {sorted(strange)[:3]}."
        )
    if os.path.lexists(path):
        raise FileExistsError(
            f"`path` of Index.save must be a folder. Received: {str(path)!r}, a file."
        )


def _ours(entry):
    return entry.name == HEAD or FOLDER.fullmatch(entry.name)


def _arrays_of(items, codes):
    arrays = {"vectors": items.vectors, "ids": items.ids, "labels": items.labels}
    if codes is not None:
        arrays.update(codes=codes.rows, scaling=codes.scaling)
    return arrays


def _write(folder, arrays, payload):
    files = {}
    for name, array in arrays.items():
        if array is not None:
            file = folder / f"{name}.npy"
            with ThreadPoolExecutor(1) as beside:  # both let go of Python's lock
                digest = beside.submit(_digest, _bytes(array))
                np.save(file, array, allow_pickle=False)
            files[file.name] = {
                "bytes": file.stat().st_size,
                "shape": list(array.shape),
                "dtype": array.dtype.str,
                SUM: digest.result(),
            }
    if payload is not None:
        (folder / "payload.json").write_bytes(payload)
        files["payload.json"] = {"bytes": len(payload), SUM: _digest(payload)}
    return files


def _bytes(array):
    return memoryview(np.ascontiguousarray(array).reshape(-1).view("uint8"))


class _Digest:
    """A check sum that costs little beside reading or writing.

    Of each whole MB, seen as 128 × 1024 words of 64 bits, the sums of the rows and of the columns go through SHA-256;
    what is left goes through it as it is. No damage of one word passes, and no exchange of words; it is no
    protection against somebody who means to forge, who could write another check sum as well.
    """

    def __init__(self):
        self.sha256 = hashlib.sha256()

    def add(self, content):
        """Bytes that follow those added before, which were a multiple of a MB."""
        whole = len(content) // CHUNK * CHUNK
        for start in range(0, whole, CHUNK):
            words = np.frombuffer(content[start : start + CHUNK], "<u8").reshape(128, 1024)
            self.sha256.update(words.sum(axis=0, dtype="uint64").tobytes())
            self.sha256.update(words.sum(axis=1, dtype="uint64").tobytes())
        self.sha256.update(content[whole:])

    def result(self):
        """The check sum in hexadecimal."""
        return self.sha256.hexdigest()


def _digest(content):
    digest = _Digest()
    digest.add(memoryview(content))
    return digest.result()


def load(path, mmap=False):
    """Items, distance, settings, and the arrays of the codes or None, of a saved index; see `Index.load`."""
    path = Path(path)
    for attempt in range(3):
        head = _head(path)
        try:
            return _read(path, head, mmap)
        except FileNotFoundError as error:
            # Between the two reads, another process may have saved: then the head is another one by now.
            if attempt == 2 or _head(path)["folder"] == head["folder"]:
                raise _broken(path, f"{Path(error.filename).name} is missing") from error


def _head(path):
    try:
        head = json.loads((path / HEAD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        why = (
            f"has no {HEAD}" if path.is_dir() else "is no folder" if path.exists() else "is missing"
        )
        raise FileNotFoundError(
            f"`path` of Index.load must be a folder that Index.save wrote. Received: {str(path)!r}, which {why}."
        ) from error
    except ValueError as error:
        raise _broken(path, f"{HEAD} is no JSON") from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise _broken(path, f"{HEAD} is not of an index")
    if head.get("format_version") != FORMAT_VERSION:
        raise _broken(path, f"it has the format version {head.get('format_version')}, not 1")
    head = {**SETTINGS, **head}
    missing = {"folder", "distance", "items", "dimensions", "files"} - set(head)
    # A name from a file must not lead out of the folder.
    if missing or not FOLDER.fullmatch(str(head["folder"])):
        raise _broken(path, f"{HEAD} is damaged")
    return head


def _read(path, head, mmap):
    folder, files = path / head["folder"], head["files"]
    try:
        arrays = {
            name: _array(
                path, folder / f"{name}.npy", files[f"{name}.npy"], mmap and name == "vectors"
            )
            for name in ARRAYS
            if f"{name}.npy" in files
        }
        payload = None
        if "payload.json" in files:
            content = (folder / "payload.json").read_bytes()
            _check(path, "payload.json", content, files["payload.json"])
            payload = json.loads(content)
        distance = DISTANCES.get(head["distance"]["name"], **head["distance"]["config"])
        codes = [arrays.pop(name) for name in ("codes", "scaling") if name in arrays]
        lengths = {len(one) for one in (*arrays.values(), *codes[:1], payload or arrays["ids"])}
        vectors = arrays["vectors"]
    except (KeyError, TypeError) as error:
        raise _broken(path, f"{HEAD} is damaged") from error
    if lengths != {head["items"]} or vectors.ndim != 2 or len(codes) == 1:
        raise _broken(path, "its files do not fit together")
    settings = {name: head[name] for name in SETTINGS}
    if not head["items"]:
        return Items(), distance, settings, None
    return Items(payload=payload, **arrays), distance, settings, codes or None


def _array(path, file, about, mapped):
    size = file.stat().st_size
    if size != about["bytes"]:
        raise _broken(path, f"{file.name} has {size} bytes instead of {about['bytes']}")
    digest = None
    try:
        if mapped:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
        else:
            array, digest = _read_array(file)
    except ValueError as error:
        raise _broken(path, f"{file.name} is no array") from error
    as_written = [list(array.shape), array.dtype.str] == [about["shape"], about["dtype"]]
    if not as_written or digest not in (None, about[SUM]):
        raise _broken(path, f"{file.name} was changed after it was written")
    return array


def _read_array(file):
    """An array and its check sum, which is computed while each part is still in the cache."""
    with open(file, "rb") as opened:
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(np.lib.format.read_magic(opened))
        if read_header is None:
            raise ValueError("unknown version of the .npy format")
        shape, transposed, dtype = read_header(opened)
        if dtype.hasobject or (transposed and len(shape) > 1):
            raise ValueError("not a plain array")
        array = np.empty(shape, dtype)
        content, digest = _bytes(array), _Digest()
        for start in range(0, len(content), CHUNK):
            chunk = content[start : start + CHUNK]
            if opened.readinto(chunk) != len(chunk):
                raise ValueError("too short")
            digest.add(chunk)
        return array, digest.result()


def _check(path, name, content, about):
    if len(content) != about["bytes"]:
        raise _broken(path, f"{name} has {len(content)} bytes instead of {about['bytes']}")
    if _digest(content) != about[SUM]:
        raise _broken(path, f"{name} was changed after it was written")


def _broken(path, why):
    return ValueError(f"The index in {str(path)!r} cannot be read: {why}. Build and save it again.")
