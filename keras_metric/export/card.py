"""`model_card.json`: what an exported model is, in a form that people and programs read."""

import datetime
import hashlib
import json
import math
import platform
import sys
from importlib import metadata

import keras
import numpy as np

NAME = "model_card.json"
LABELS_SHOWN = 10_000


def checked_metrics(metrics):
    """Refuses figures that JSON cannot hold."""
    if metrics is not None and not hasattr(metrics, "items"):
        raise TypeError(
            f"`metrics` of saved_model must be a dict of figures. Received: {metrics!r}."
        )
    try:
        json.dumps(_plain(metrics))
    except TypeError as error:
        raise TypeError(
            f"`metrics` of saved_model must hold numbers, texts, lists and dicts. Received: {metrics!r}."
        ) from error


def write(folder, encoder, preprocessing, index, signatures, functions, settings):
    """Writes the card of the SavedModel in `folder`."""
    content = {
        "encoder": {
            "name": encoder.name,
            "class": type(encoder).__name__,
            "parameters": int(encoder.count_params()),
            "embedding_dimensions": _width(functions),
        },
        "preprocessing": preprocessing is not None,
        "distance": keras.saving.serialize_keras_object(signatures.distance),
        "threshold": settings["threshold"],
        "signatures": {name: _takes_and_gives(one) for name, one in functions.items()},
        "serving_default": "embed",
        "index": None if index is None else _about_index(index, signatures.corpus.k),
        "metrics": _plain(settings["metrics"]),
        "versions": _versions(settings.get("backend")),
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sha256": hashes(folder),
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")


def read(folder):
    """The card of a version folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    try:
        return json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{folder} holds no {NAME}: it was not written by export.saved_model."
        ) from error


def hashes(folder):
    """SHA-256 of every file below a version folder but the card, by its path there."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file != folder / NAME:
            with open(file, "rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            found[file.relative_to(folder).as_posix()] = digest
    return found


def changed(folder, content):
    """Files that are missing or not as they were when the card `content` was written."""
    now = hashes(folder)
    return [name for name, digest in content["sha256"].items() if now.get(name) != digest]


def _width(functions):
    return functions["embed"].get_concrete_function().structured_outputs["embedding"].shape[-1]


def _takes_and_gives(function):
    concrete = function.get_concrete_function()
    return {
        "inputs": {spec.name: _described(spec) for spec in function.input_signature},
        "outputs": {name: _described(x) for name, x in concrete.structured_outputs.items()},
    }


def _described(tensor):
    return {"shape": list(tensor.shape), "dtype": tensor.dtype.name}


def _about_index(index, k):
    labels = None if index.labels is None else np.unique(index.labels).tolist()
    return {
        "size": len(index),
        "k": k,
        "classes": None if labels is None else len(labels),
        "labels": None if labels is None else labels[:LABELS_SHOWN],
    }


def _versions(trained_on):
    found = {"python": platform.python_version()}
    for package in ("keras-metric", "keras", "numpy", "tensorflow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # run from a folder of its source
            found[package] = getattr(sys.modules[package.replace("-", "_")], "__version__", None)
    return {**found, "backend_of_encoder": trained_on or keras.backend.backend()}


def _plain(value):
    if hasattr(value, "items"):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
