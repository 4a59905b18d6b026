"""Settings of the whole suite: which rooms are tested on which Keras backend."""

import os

if os.environ.get("KERAS_BACKEND") == "jax":
    # Eager JAX compiles every operation for every shape, once: optimising what runs once takes longer than running it.
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    )

import keras
import pytest

# These rooms are made of TensorFlow (or stand on ones that are), or read files without running a backend; everything
# else runs on all backends.
collect_ignore = (
    []
    if keras.backend.backend() == "tensorflow"
    else [
        "beam",
        "cli",
        "data",
        "docs",
        "examples",
        "export",
        "serving",
        "test_imports.py",
        "test_package.py",
    ]  # fmt: skip
)


@pytest.fixture(autouse=True, scope="module")
def seeded_module():
    """Fixtures of a module start from the same random state, wherever it runs."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def seeded(seeded_module):
    """So does every test, so that a failure can be repeated, alone or in any order."""
    keras.utils.set_random_seed(1)
