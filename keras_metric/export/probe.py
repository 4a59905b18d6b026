"""Runs a SavedModel in a process in which neither Keras nor this library can be imported.

This file is run as a program of its own, so it imports nothing of the library, and TensorFlow only after the imports
have been blocked. Arrays cross over as plain files, without pickle.
"""

import importlib.abc
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

BLOCKED = ("keras", "keras_metric", "tf_keras")


class Blocker(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Fails when a blocked package is loaded, not when it is looked for: TensorFlow itself looks for Keras."""

    def find_spec(self, name, path=None, target=None):
        """A spec whose loader fails, for a blocked package."""
        if name.partition(".")[0] in BLOCKED:
            return importlib.util.spec_from_loader(name, self)
        return None

    def create_module(self, spec):
        """The usual kind of module."""
        return None

    def exec_module(self, module):
        """Refuses."""
        raise ImportError(f"{module.__name__} is blocked in this process")


def save_arrays(folder, arrays):
    """Writes a list of arrays as files 0, 1, …; texts as one run of bytes and their lengths."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    for number, array in enumerate(arrays):
        array = np.asarray(array)
        if array.dtype.kind in "OSU":
            texts = [x.encode() if isinstance(x, str) else bytes(x) for x in array.ravel()]
            np.save(folder / f"{number}-bytes.npy", np.frombuffer(b"".join(texts), "uint8"))
            np.save(folder / f"{number}-lengths.npy", np.array([len(x) for x in texts], "int64"))
            np.save(folder / f"{number}-shape.npy", np.array(array.shape, "int64"))
        else:
            np.save(folder / f"{number}.npy", array, allow_pickle=False)


def load_arrays(folder):
    """The arrays that `save_arrays` wrote; texts as an object array of bytes."""
    folder, arrays = Path(folder), []
    while True:
        stem = folder / str(len(arrays))
        if stem.with_name(f"{stem.name}.npy").exists():
            arrays.append(np.load(f"{stem}.npy", allow_pickle=False))
        elif stem.with_name(f"{stem.name}-bytes.npy").exists():
            run = np.load(f"{stem}-bytes.npy").tobytes()
            ends = np.cumsum(np.load(f"{stem}-lengths.npy"))
            texts = np.empty(len(ends), object)
            texts[:] = [run[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
            arrays.append(texts.reshape(np.load(f"{stem}-shape.npy")))
        else:
            return arrays


def main(exchange):
    """Loads the SavedModel named in the request, makes its calls, and writes what came of them."""
    assert not any(name.partition(".")[0] in BLOCKED for name in sys.modules)
    sys.meta_path.insert(0, Blocker())
    import tensorflow as tf

    exchange = Path(exchange)
    request = json.loads((exchange / "request.json").read_text())
    model = tf.saved_model.load(request["path"])
    answers = []
    for number, (signature, names) in enumerate(request["calls"]):
        arrays = load_arrays(exchange / f"inputs-{number}")
        inputs = {name: tf.constant(x) for name, x in zip(names, arrays, strict=True)}
        outputs = model.signatures[signature](**inputs)
        save_arrays(exchange / f"outputs-{number}", [x.numpy() for x in outputs.values()])
        answers.append(list(outputs))
    variables = {}
    for name in request["variables"]:
        found = [v for v in model._all_variables if v.name.partition(":")[0] == name]
        save_arrays(exchange / f"variable-{name}", [v.numpy() for v in found])
        variables[name] = len(found)
    refused = {name: _refusal(name) for name in BLOCKED}
    report = {
        "answers": answers,
        "signatures": sorted(model.signatures),
        "variables": variables,
        "refused": refused,
        "tensorflow": tf.__version__,
        "process": __import__("os").getpid(),
    }
    (exchange / "report.json").write_text(json.dumps(report))


def _refusal(name):
    """What importing a package says here; None if it can be imported."""
    try:
        importlib.import_module(name)
    except ImportError as error:
        return str(error)
    return None


if __name__ == "__main__":
    main(sys.argv[1])
