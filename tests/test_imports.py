"""The direction of imports between rooms, and what a plain import of the library loads."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import keras_metric

PACKAGE = Path(keras_metric.__file__).parent

# Every room may use these, and they use only each other.
FOUNDATION = {"checks", "extras", "registry", "tensors"}
TRAINING = {"distances", "miners", "losses", "layers", "models"}
JUDGING = {"metrics", "index", "evaluation"}

# What a room may import of this library besides the foundation.
MAY_IMPORT = {
    **dict.fromkeys(FOUNDATION, set()),
    "distances": set(),
    "miners": {"distances"},
    "losses": {"distances", "miners"},
    "layers": {"distances", "miners", "losses"},
    "models": {"distances", "miners", "losses", "layers"},
    "metrics": {"distances"},
    "data": set(),
    "index": {"distances", "metrics", "models"},
    "evaluation": {"distances", "metrics", "index", "models"},
    "callbacks": TRAINING | JUDGING | {"data"},
    "compat": TRAINING,
    "export": TRAINING | JUDGING,
    "serving": TRAINING | JUDGING | {"export"},
    "beam": TRAINING | JUDGING | {"data", "export"},
    "cli": TRAINING | JUDGING | {"data", "callbacks", "compat", "export", "serving"},
}

# Rooms made of TensorFlow; all others stand on keras.ops and run on every backend.
TENSORFLOW_ROOMS = {"beam", "callbacks", "data", "export", "serving"}
# May ask TensorFlow inside a function, where only a TensorFlow graph can do what is needed.
TENSORFLOW_IN_FUNCTIONS = {"tensors"}

# Packages of the extras: loaded inside the functions that use them.
OPTIONAL = {
    "PIL",
    "apache_beam",
    "faiss",
    "grpc",
    "matplotlib",
    "onnxruntime",
    "pandas",
    "qdrant_client",
    "requests",
    "scipy",
    "sklearn",
    "tensorflow_datasets",
    "tensorflow_serving",
    "tf2onnx",
    "usearch",
}

# Rooms that are made of such a package: importing the room, which nothing else does, loads it.
MADE_OF = {"beam": {"apache_beam"}}

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_names(tree, path):
    """Dotted names of everything that a module imports; relative imports are spelled out."""
    here = ("keras_metric", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{name.name}" for name in node.names)


def wrong_arrows(source, path):
    """Imports of `source`, standing at `path`, that point the wrong way."""
    room = room_of(path)
    allowed = MAY_IMPORT[room] | FOUNDATION | {room}
    tree = ast.parse(source)
    early = set(loaded_at_import(tree))
    wrong = []
    for name in imported_names(tree, path):
        package, *rest = name.split(".")
        # The commands name the version of the whole, and load it so that saved models find its classes.
        inside = rest[0] in allowed if rest else room == "cli"
        if package == "keras_metric" and not inside:
            wrong.append(name)
        if package == "tensorflow" and room not in TENSORFLOW_ROOMS:
            if room not in TENSORFLOW_IN_FUNCTIONS or any("tensorflow" in one for one in early):
                wrong.append(name)
        if package in ("jax", "torch"):
            wrong.append(name)
    return wrong


def loaded_at_import(tree):
    """Names that are imported as soon as the module is, not only when a function runs."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
        waiting.extend(ast.iter_child_nodes(node))


def run_python(code):
    """Runs code in a fresh interpreter and returns the JSON that it prints last."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_there_is_something_to_hold():
    assert len(FILES) > 20
    assert {"distances", "losses", "miners", "tensors"} <= {room_of(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_the_right_way(path):
    assert room_of(path) in MAY_IMPORT, "A new room needs its line in MAY_IMPORT."
    assert wrong_arrows(path.read_text(), path) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_extras_are_imported_where_they_are_used(path):
    early = {name.split(".")[0] for name in loaded_at_import(ast.parse(path.read_text()))}
    assert early & (OPTIONAL - MADE_OF.get(room_of(path), set())) == set()


@pytest.mark.parametrize(
    "room, source, wrong",
    [
        ("losses", "from keras_metric.distances import cosine", False),
        ("losses", "from keras_metric import checks", False),
        ("losses", "from .base import EmbeddingLoss", False),
        ("losses", "from keras_metric.models import siamese_pair", True),
        ("losses", "from keras_metric import models", True),
        ("losses", "from ..models import siamese_pair", True),
        ("losses", "import keras_metric", True),
        ("losses", "def f():\n    import tensorflow as tf", True),
        ("tensors", "def f():\n    import tensorflow as tf", False),
        ("tensors", "import tensorflow as tf", True),
        ("data", "import tensorflow as tf", False),
        ("data", "import keras_metric.losses", True),
        ("metrics", "import torch", True),
    ],
)
def test_the_check_sees_wrong_arrows(room, source, wrong):
    assert bool(wrong_arrows(source, PACKAGE / room / "file.py")) is wrong


def test_the_check_sees_early_imports():
    tree = ast.parse(
        "try:\n    import faiss\nexcept ImportError:\n    pass\ndef f():\n    import PIL"
    )
    assert list(loaded_at_import(tree)) == ["faiss"]


def test_losses_load_no_optional_package():
    code = """
import json, sys
import keras, tensorflow
before = set(sys.modules)
from keras_metric import losses
print(json.dumps(sorted(name.split(".")[0] for name in set(sys.modules) - before)))
"""
    loaded = set(run_python(code))
    assert "keras_metric" in loaded
    assert loaded & OPTIONAL == set()


def test_lazy_rooms_load_at_first_use():
    code = """
import json, sys
import keras_metric
lazy = keras_metric._LAZY
early = [name for name in lazy if "keras_metric." + name in sys.modules]
print(json.dumps({"early": early, "lazy": lazy, "listed": dir(keras_metric)}))
"""
    seen = run_python(code)
    assert seen["early"] == []
    assert set(seen["lazy"]) <= set(seen["listed"])


@pytest.mark.parametrize("room", keras_metric._LAZY)
def test_every_lazy_room_can_be_had(room):
    assert getattr(keras_metric, room).__name__ == f"keras_metric.{room}"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'loses'"):
        _ = keras_metric.loses
