"""What a run leaves beside its model: settings, metrics and the state to resume from."""

import contextlib
import json
import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

import keras_metric


@contextlib.contextmanager
def written_whole(path):
    """Gives a temporary path with the same ending; it takes the place of `path` only if all went well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def write_json(path, content):
    """Writes readable JSON, whole or not at all; NaN becomes null."""
    with written_whole(path) as unfinished:
        text = json.dumps(_plain(content), indent=2, allow_nan=False, ensure_ascii=False)
        unfinished.write_text(text + "\n", encoding="utf-8")


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def save_model(model, path):
    """Saves a `.keras` file, whole or not at all."""
    with written_whole(path) as unfinished:
        model.save(unfinished)


def save_arrays(path, **arrays):
    """Saves an `.npz` file, whole or not at all."""
    with written_whole(path) as unfinished:
        np.savez(unfinished, **arrays)


def versions():
    """What a run was made with."""
    found = {"keras_metric": keras_metric.__version__, "python": platform.python_version()}
    found["backend"] = keras.backend.backend()
    for package in ("keras", "numpy", "tensorflow", "jax", "torch"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _state_of(model):
    """Weights, states of random layers and the optimizer's variables, always in the same order."""
    of_metrics = {id(variable) for variable in model.metrics_variables}
    own = [variable for variable in model.variables if id(variable) not in of_metrics]
    return [*own, *model.optimizer.variables]


def save_state(path, model, epoch, history):
    """Keeps all that the next epoch depends on, and the history of those done."""
    arrays = {
        f"variable_{number:04d}": keras.ops.convert_to_numpy(variable.value)
        for number, variable in enumerate(_state_of(model))
    }
    save_arrays(path, epoch=epoch, history=json.dumps(_plain(history)), **arrays)


def load_state(path, model):
    """Puts a kept state back and returns `(epochs done, history)`."""
    variables = _state_of(model)
    with np.load(path, allow_pickle=False) as state:
        names = sorted(name for name in state.files if name.startswith("variable_"))
        shapes = [tuple(state[name].shape) for name in names]
        if shapes != [tuple(variable.shape) for variable in variables]:
            raise ValueError(f"{path} belongs to another model; take the settings of the first run")
        for name, variable in zip(names, variables, strict=True):
            variable.assign(state[name])
        return int(state["epoch"]), json.loads(str(state["history"]))
