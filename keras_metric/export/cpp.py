"""Runs a SavedModel from C++, by the call with which TensorFlow Serving loads models.

A small program (`loader.cc`) is compiled against the headers and libraries of the TensorFlow that is installed, once
for each version, and kept in the user's cache folder.
"""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_metric.export import versions

SOURCE = Path(__file__).with_name("loader.cc")
LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
COMPILERS = ("g++", "c++", "clang++")


@dataclasses.dataclass(frozen=True)
class InCpp:
    """What the C++ program found.

    Attributes:
        outputs: dict of arrays of each call, in their order; texts are bytes.
        signatures: names of all signatures.
        compiler: what compiled the program.
    """

    outputs: list
    signatures: list
    compiler: str


def cpp_compiler():
    """The C++ compiler that `run_in_cpp` uses; None where there is none, or TensorFlow's wheel has no C++ library."""
    folder = Path(tf.sysconfig.get_lib())
    if not all((folder / name).exists() for name in LIBRARIES):
        return None
    return next((found for name in COMPILERS if (found := shutil.which(name))), None)


def run_in_cpp(path, calls):
    """Loads a SavedModel by its tag `serve` in a C++ program, without Python, and calls its signatures.

    The first call on a machine compiles the program (some 15 seconds).

    Args:
        path: version folder, or its parent for the highest version.
        calls: `(signature, {input name: array})` of each call to make.

    Returns:
        `InCpp`.

    Raises:
        RuntimeError: if there is no compiler, or the program cannot be compiled, or cannot load or run the model.
    """
    folder = versions.version_folder(path)
    compiler = cpp_compiler()
    if compiler is None:
        raise RuntimeError(
            f"run_in_cpp needs a C++ compiler ({', '.join(COMPILERS)}) and a TensorFlow with {LIBRARIES[0]}. "
            "Neither Python nor TensorFlow Serving needs it to run the model."
        )
    program = _program(compiler)
    with tempfile.TemporaryDirectory(prefix="keras-metric-cpp-") as exchange:
        exchange = Path(exchange)
        _write_request(exchange, calls)
        done = subprocess.run(
            [str(program), str(folder.resolve()), str(exchange)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = " ".join(done.stderr.split())[-2000:] or f"exit code {done.returncode}"
            raise RuntimeError(f"{folder} fails in C++: {said}")
        return InCpp(*_read_report(exchange, len(calls)), compiler)


def _write_request(exchange, calls):
    lines = []
    for call, (signature, inputs) in enumerate(calls):
        words = [signature]
        for number, (name, array) in enumerate(inputs.items()):
            file = f"input-{call}-{number}"
            (exchange / file).write_bytes(tf.make_tensor_proto(array).SerializeToString())
            words += [name, file]
        lines.append("\t".join(words) + "\n")
    (exchange / "request.txt").write_text("".join(lines), encoding="utf-8")


def _read_report(exchange, count):
    outputs, signatures = [{} for _ in range(count)], []
    for line in (exchange / "report.txt").read_text(encoding="utf-8").splitlines():
        kind, *words = line.split("\t")
        if kind == "signature":
            signatures.append(words[0])
        else:
            call, name, file = words
            proto = tf.make_tensor_proto(0)
            proto.ParseFromString((exchange / file).read_bytes())
            outputs[int(call)][name] = np.array(tf.make_ndarray(proto))
    return outputs, sorted(signatures)


def _program(compiler):
    """The compiled program, from the cache or new."""
    folder = tf.sysconfig.get_lib()
    command = [
        compiler, str(SOURCE), "-w", *tf.sysconfig.get_compile_flags(),
        # Without --no-as-needed the linker drops the library that registers the session.
        "-Wl,--no-as-needed", f"-L{folder}", *[f"-l:{name}" for name in LIBRARIES], f"-Wl,-rpath,{folder}",
    ]  # fmt: skip
    key = hashlib.sha256(repr((command, tf.__version__)).encode() + SOURCE.read_bytes())
    program = _cache() / f"loader-{key.hexdigest()[:16]}"
    if program.exists():
        return program
    with tempfile.TemporaryDirectory(dir=program.parent, prefix=".loader-") as aside:
        made = Path(aside) / "loader"
        done = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(
                f"{compiler} cannot compile {SOURCE} against TensorFlow {tf.__version__}: "
                f"{' '.join(done.stderr.split())[:2000]}"
            )
        os.replace(made, program)
    return program


def _cache():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "keras-metric"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
