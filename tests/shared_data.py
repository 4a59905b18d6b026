"""Where the shared data sets are, and TFDS builders prepared from them without network."""

import fcntl
import io
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
_NEEDED = {"omniglot": ("small1",)}  # splits to prepare; others are not there
CACHE = Path(os.environ.get("KERAS_METRIC_CACHE", ROOT / "build" / "test-data"))


def shared(*parts, folder="datasets"):
    """Path in the folder of data sets (or `"oracles"`); skips the test where it is absent, fails in CI."""
    base = Path(os.environ.get("KERAS_METRIC_SHARED", ROOT.parent / "shared"))
    path = base.joinpath(folder, *parts)
    if not path.exists():
        reason = f"{path} is not here; set KERAS_METRIC_SHARED to the folder that holds {folder}/"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def cifar100(split="train", classes=None):
    """`(images, fine ids, coarse ids)` of CIFAR-100; `classes` are names, None: all."""
    from PIL import Image

    with zipfile.ZipFile(shared("cifar100", "cifar100-lossless.zip")) as archive:
        labels = json.loads(archive.read("cifar100/labels.json"))
        names = labels["fine_label_names"]
        images, ids = [], []
        for name in classes or names:
            data = io.BytesIO(archive.read(f"cifar100/{split}/{name}.webp"))
            sheet = np.asarray(Image.open(data).convert("RGB"))
            rows, columns = sheet.shape[0] // 32, sheet.shape[1] // 32
            tiles = sheet.reshape(rows, 32, columns, 32, 3).transpose(0, 2, 1, 3, 4)
            images.append(tiles.reshape(-1, 32, 32, 3))
            ids += [names.index(name)] * rows * columns
    ids = np.asarray(ids)
    return np.concatenate(images), ids, np.asarray(labels["fine_to_coarse"])[ids]


def prepared_tfds(name):
    """Folder of prepared TFDS data that holds `name`, made by the real builder once and kept in `CACHE`."""
    pytest.importorskip("tensorflow_datasets")
    files, manual = _sources(name)
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want the same
        if not (CACHE / "tfds" / name).exists():
            _prepare(name, files(), manual)
    return CACHE / "tfds"


def _sources(name):
    if name == "fashion_mnist":
        return dict, shared("fashion_mnist")
    if name == "omniglot":
        return _omniglot_archives, None
    if name == "spoken_digit":
        recordings = shared("fsdd", "fsdd-1.0.9-recordings.tar.gz")
        return lambda: {"v1.0.9.tar.gz": recordings}, None
    shared("cifar100", "cifar100-lossless.zip")
    return _cifar100_archive, None


def _omniglot_archives():
    """The archives that the builder of omniglot reads: the small one whole, of the others a drawing a character.

    The builder wants every character for its list of names; unpacking all 32,000 drawings would take minutes.
    """
    archives = {path.name: path for path in shared("omniglot").glob("images_*.zip")}
    for name, path in archives.items():
        if name != "images_background_small1.zip":
            thin = archives[name] = CACHE / f"thin_{name}"
            with zipfile.ZipFile(path) as source, zipfile.ZipFile(thin, "w") as target:
                for entry in source.namelist():
                    if entry.endswith("_01.png"):
                        target.writestr(entry, source.read(entry))
    return archives


def _cifar100_archive():
    """The binary archive that the builder of cifar100 reads."""
    path = CACHE / "cifar-100-binary.tar.gz"
    with zipfile.ZipFile(shared("cifar100", "cifar100-lossless.zip")) as archive:
        labels = json.loads(archive.read("cifar100/labels.json"))
    content = {
        f"{kind}_label_names.txt": ("\n".join(labels[f"{kind}_label_names"]) + "\n").encode()
        for kind in ("coarse", "fine")
    }
    for split in ("train", "test"):
        images, fine, coarse = cifar100(split)
        pixels = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        rows = np.concatenate([coarse[:, None], fine[:, None], pixels], axis=1)
        content[f"{split}.bin"] = rows.astype("uint8").tobytes()
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(f"cifar-100-binary/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return {path.name: path}


def _prepare(name, files, manual):
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import resource

    aside = CACHE / f"{name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    downloads = aside / "downloads"
    downloads.mkdir(parents=True)
    builder = tfds.builder(name, data_dir=aside / "data")
    for url, info in builder.url_infos.items():
        base = url.rsplit("/", 1)[1]
        if base not in files:
            continue
        # The builder takes a file of its cache as downloaded if this note lies beside it.
        target = downloads / resource.get_dl_fname(url, info.checksum)
        shutil.copyfile(files[base], target)
        note = {"urls": [url], "dataset_names": [name], "original_fname": base}
        note["url_info"] = info.asdict()
        target.with_suffix(target.suffix + ".INFO").write_text(json.dumps(note))
    if name in _NEEDED:
        every = builder._split_generators
        builder._split_generators = lambda downloads: [
            split for split in every(downloads) if str(split.name) in _NEEDED[name]
        ]
    config = tfds.download.DownloadConfig(manual_dir=manual, try_download_gcs=False)
    builder.download_and_prepare(download_dir=downloads, download_config=config)
    (CACHE / "tfds").mkdir(exist_ok=True)
    (aside / "data" / name).rename(CACHE / "tfds" / name)
    shutil.rmtree(aside)
