"""Export from the JAX and PyTorch backends, by a process with the TensorFlow backend.

Keras' own export on these backends loses the free batch size, or gives graphs that TensorFlow cannot run, so the
encoder crosses over as a `.keras` file, and preprocessing as a SavedModel of its own.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from keras_metric.export import archive, probe, process, sources, specs, tracking
from keras_metric.models import encoders

REQUEST = "request.json"
CHILD = "import sys; from keras_metric.export import elsewhere; elsewhere.main(sys.argv[1])"


def write(folder, encoder, preprocessing, index, warmup, input_signature, settings):
    """Writes a SavedModel into `folder` by a child process.

    Raises:
        RuntimeError: if the child fails, with what it said and the way out.
    """
    with tempfile.TemporaryDirectory(prefix="keras-metric-export-") as crossing:
        crossing = Path(crossing)
        modules = _hand_over_encoder(encoder, crossing)
        index = sources.index_of(index)
        if index is not None:
            index.save(crossing / "index")
        takes = None
        if input_signature is not None or preprocessing is not None:
            takes = specs.raw_inputs(encoder, preprocessing, input_signature, warmup)
        if preprocessing is not None:
            modules += _hand_over_preprocessing(preprocessing, takes, crossing)
        if warmup is not None:
            probe.save_arrays(crossing / "warmup", _numpy(tree.flatten(warmup)))
        _ask(crossing, folder, modules, takes, warmup, index, preprocessing, settings)


def _hand_over_encoder(encoder, crossing):
    file = crossing / "encoder.keras"
    if isinstance(encoder, str | os.PathLike):
        file.symlink_to(sources.keras_file(encoder).resolve())
        return []
    encoder = sources.encoder_of(encoder)
    model = encoder if isinstance(encoder, keras.Model) else _as_model(encoder)
    model.save(file)
    return _own_modules(model)


def _as_model(layer):
    inputs = encoders.inputs_like(layer, "inputs")
    return keras.Model(inputs, layer(inputs), name=layer.name)


def _own_modules(model):
    """Modules that define the classes of a model, besides Keras' and this library's."""
    found = {type(one).__module__ for one in [model, *model._flatten_layers()]}
    return sorted(
        name
        for name in found
        if name.partition(".")[0] not in ("keras", "keras_metric", "__main__")
    )


def _hand_over_preprocessing(preprocessing, takes, crossing):
    if isinstance(preprocessing, keras.layers.Layer):
        model = preprocessing
        if not isinstance(model, keras.Model):
            symbolic = tree.map_structure(
                lambda spec: keras.Input(spec.shape[1:], dtype=spec.dtype.name, name=spec.name),
                takes,
            )
            model = keras.Model(symbolic, preprocessing(symbolic))
        model.save(crossing / "preprocessing.keras")
        return _own_modules(model)
    flat = tree.flatten(takes)
    module = tf.Module()
    try:
        module.preprocess = tf.function(
            lambda *inputs: preprocessing(tree.pack_sequence_as(takes, list(inputs))),
            input_signature=flat,
        )
        module.preprocess.get_concrete_function()
    except Exception as error:
        raise ValueError(
            "`preprocessing` of saved_model must be written with TensorFlow's functions, or be a Keras layer, "
            f"also on the {keras.backend.backend()} backend. Received: {preprocessing!r}, which fails with: {error}"
        ) from error
    module.resources = tracking.resources_of(preprocessing)
    tf.saved_model.save(module, str(crossing / "preprocessing"))
    return []


def _numpy(flat):
    return [
        np.asarray(keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else x) for x in flat
    ]


def _ask(crossing, folder, modules, takes, warmup, index, preprocessing, settings):
    request = {
        "folder": str(folder.resolve()),
        "modules": modules,
        "takes": None if takes is None else _skeleton(takes),
        "warmup": None if warmup is None else tree.map_structure(lambda _: 0, warmup),
        "index": index is not None,
        "settings": {**settings, "backend": keras.backend.backend()},
    }
    (crossing / REQUEST).write_text(json.dumps(request))
    environment = {**process.environment(), "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHILD, str(crossing)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(
            f"saved_model, which exports from the {keras.backend.backend()} backend in a process with the TensorFlow "
            f"backend, failed there: {said[-1]} If it misses a class of yours, define that in a module that can be "
            "imported and register it with keras.saving.register_keras_serializable; or save the encoder as .keras "
            "and call saved_model in a program of your own with KERAS_BACKEND=tensorflow."
        )


def _skeleton(nest):
    """A nest of specs as JSON; tuples become lists."""
    if isinstance(nest, dict):
        return {"dict": {key: _skeleton(one) for key, one in nest.items()}}
    if isinstance(nest, list | tuple):
        return {"list": [_skeleton(one) for one in nest]}
    return {"shape": list(nest.shape), "dtype": nest.dtype.name, "name": nest.name}


def _from_skeleton(skeleton):
    if "dict" in skeleton:
        return {key: _from_skeleton(one) for key, one in skeleton["dict"].items()}
    if "list" in skeleton:
        return [_from_skeleton(one) for one in skeleton["list"]]
    return tf.TensorSpec(skeleton["shape"], skeleton["dtype"], name=skeleton["name"])


def main(crossing):
    """The child process: reads what was handed over and writes the SavedModel."""
    crossing = Path(crossing)
    request = json.loads((crossing / REQUEST).read_text())
    for module in request["modules"]:
        importlib.import_module(module)
    preprocessing = None
    if (crossing / "preprocessing.keras").exists():
        preprocessing = keras.saving.load_model(crossing / "preprocessing.keras", compile=False)
    elif (crossing / "preprocessing").exists():
        preprocessing = _Loaded(crossing / "preprocessing")
    warmup = None
    if request["warmup"] is not None:
        arrays = probe.load_arrays(crossing / "warmup")
        warmup = tree.pack_sequence_as(request["warmup"], arrays)
    archive.write(
        Path(request["folder"]),
        keras.saving.load_model(crossing / "encoder.keras", compile=False),
        preprocessing,
        sources.index_of(crossing / "index" if request["index"] else None),
        warmup,
        None if request["takes"] is None else _from_skeleton(request["takes"]),
        request["settings"],
    )


class _Loaded(tf.Module):
    """Preprocessing that crossed over, with the tables and variables that it uses."""

    def __init__(self, folder):
        super().__init__()
        self.loaded = tf.saved_model.load(str(folder))

    def __call__(self, inputs):
        return self.loaded.preprocess(*tree.flatten(inputs))
