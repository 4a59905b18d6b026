"""Proof by another process: the exported model alone, without the library that made it."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from keras_metric.export import probe, versions


@dataclasses.dataclass(frozen=True)
class WithoutKeras:
    """What a process without Keras found.

    Attributes:
        outputs: dict of arrays of each call, in their order; texts are bytes.
        signatures: names of all signatures.
        variables: arrays of each variable asked for, by name.
        refused: what importing each blocked package said there.
        tensorflow: version of TensorFlow there.
        process: its number.
    """

    outputs: list
    signatures: list
    variables: dict
    refused: dict
    tensorflow: str
    process: int


def run_without_keras(path, calls=(), variables=()):
    """Loads a SavedModel in a new process in which `keras` and `keras_metric` cannot be imported, and calls it.

    Args:
        path: version folder, or its parent for the highest version.
        calls: `(signature, {input name: array})` of each call to make.
        variables: names of variables to bring back.

    Returns:
        `WithoutKeras`.

    Raises:
        FileNotFoundError: if there is no SavedModel.
        RuntimeError: if it cannot be loaded or called there, with what the process said.
    """
    folder = versions.version_folder(path)
    with tempfile.TemporaryDirectory(prefix="keras-metric-verify-") as exchange:
        exchange = Path(exchange)
        request = {
            "path": str(folder.resolve()),
            "calls": [[signature, list(inputs)] for signature, inputs in calls],
            "variables": list(variables),
        }
        (exchange / "request.json").write_text(json.dumps(request))
        for number, (_, inputs) in enumerate(calls):
            probe.save_arrays(exchange / f"inputs-{number}", inputs.values())
        _run(exchange, folder)
        report = json.loads((exchange / "report.json").read_text())
        outputs = [
            dict(zip(names, probe.load_arrays(exchange / f"outputs-{number}"), strict=True))
            for number, names in enumerate(report.pop("answers"))
        ]
        brought = {name: probe.load_arrays(exchange / f"variable-{name}") for name in variables}
    report["variables"] = {name: found[0] for name, found in brought.items() if found}
    return WithoutKeras(outputs=outputs, **report)


def environment():
    """That of a child process: the same packages, and a quiet TensorFlow."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}


def _run(exchange, folder):
    done = subprocess.run(
        # -P: the folder of the program must not come before the packages.
        [sys.executable, "-P", probe.__file__, str(exchange)],
        env=environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(
            f"{folder} fails in a process without Keras: {said[-1]}\n" + "\n".join(said[-12:])
        )


def as_text(array):
    """An array of bytes as one of str; others as they are."""
    if array.dtype.kind != "O":
        return array
    return np.array([x.decode() for x in array.ravel()], dtype=str).reshape(array.shape)
