"""Vectors in numbered `.npz` files, and a list of them that says that all are there."""

import hashlib
import json
import os
import re
import shutil
import uuid
from pathlib import Path

import apache_beam as beam
import numpy as np

LIST = "vectors.json"
SHARD = re.compile(r"vectors-\d{5}-of-\d{5}\.npz")


class WriteShards(beam.PTransform):
    """Writes pairs of id and vector into files `vectors-00000-of-00008.npz`, as arrays ids (N,) and vectors (N, D).

    An id always goes to the same file, and files are sorted by id, so that the same corpus gives the same files however
    the work was divided. A file is written aside and renamed: a worker that is started again replaces it.

    Args:
        path: folder, as the workers see it.
        shards: number of files; a worker holds one of them in memory.
    """

    def __init__(self, path, shards=8):
        super().__init__()
        self.path, self.shards = str(path), shards

    def expand(self, pairs):
        """Gives `(file name, rows)` of each file written."""
        return (
            pairs
            | "Choose shard" >> beam.Map(_with_shard, self.shards)
            | "Gather" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write, self.path, self.shards)
        )


def _with_shard(pair, shards):
    digest = hashlib.sha256(str(pair[0]).encode()).digest()
    return int.from_bytes(digest[:8], "big") % shards, pair


def _write(group, path, shards):
    shard, pairs = group
    pairs = sorted(pairs, key=lambda pair: pair[0])
    ids = [one for one, _ in pairs]
    twice = sorted({a for a, b in zip(ids, ids[1:], strict=False) if a == b})
    if twice:
        raise ValueError(
            f"Ids of a corpus must be all different. Received more than once: {twice[:5]}."
        )
    name = f"vectors-{shard:05}-of-{shards:05}.npz"
    aside = Path(path) / f".{name}-{uuid.uuid4().hex[:8]}.npz"
    np.savez(aside, ids=np.array(ids), vectors=np.stack([vector for _, vector in pairs]))
    os.replace(aside, Path(path) / name)
    return name, len(pairs)


def prepare(path, overwrite):
    """Makes the folder, and removes what an earlier run left there."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    there = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    foreign = [
        entry.name for entry in there if entry.name != LIST and not SHARD.fullmatch(entry.name)
    ]
    if foreign or (there and not overwrite):
        raise FileExistsError(
            f"`output` must be a new or empty folder, or one with vectors and overwrite=True. Received: {str(path)!r}, "
            f"which holds {sorted(foreign or [entry.name for entry in there])[:3]}."
        )
    (path / LIST).unlink(missing_ok=True)  # first, so that what is left is never taken for whole
    for entry in there:
        entry.unlink(missing_ok=True)
    return path


def finish(path, model):
    """Lists the files once all are written; returns how many vectors they hold."""
    files = {}
    for file in sorted(path.glob("vectors-*-of-*.npz")):
        with np.load(file, allow_pickle=False) as arrays:
            files[file.name] = {"rows": len(arrays["ids"]), "bytes": file.stat().st_size}
    aside = path / f".{LIST}-{uuid.uuid4().hex[:8]}"
    aside.write_text(json.dumps({"model": str(model), "files": files}, indent=2) + "\n")
    os.replace(aside, path / LIST)
    for left in path.glob(".vectors-*"):  # of workers that were stopped
        shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    return sum(one["rows"] for one in files.values())


def read_vectors(path):
    """Ids (N,) and vectors (N, D) of each file in turn, for `Index.add`.

        for ids, vectors in read_vectors("embedded"):
            index.add(vectors, ids=ids)

    Raises:
        FileNotFoundError: if there is no finished run.
        ValueError: if a file is missing or was changed.
    """
    path = Path(path)
    try:
        told = json.loads((path / LIST).read_text())
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} holds no {LIST}: no run of embed_files or embed_tfrecords was finished there."
        ) from error
    for name, about in told["files"].items():
        file = path / name
        if not SHARD.fullmatch(name) or not file.is_file() or file.stat().st_size != about["bytes"]:
            raise ValueError(
                f"{file} is missing or was changed after it was written. Embed the corpus again."
            )
        with np.load(file, allow_pickle=False) as arrays:
            yield arrays["ids"], arrays["vectors"]
