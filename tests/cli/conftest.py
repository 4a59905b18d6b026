"""Small inputs of every kind that the command takes, and a way to run it."""

import numpy as np
import pytest
from PIL import Image

from keras_metric.cli.main import main


@pytest.fixture
def command(capsys):
    """Runs `keras-metric` in this process; returns exit code, output and errors."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def shapes(count=12, side=8, seed=0):
    """Three classes of 8 × 8 images that a few steps of training can tell apart."""
    random = np.random.default_rng(seed)
    x = random.uniform(0, 4, (3 * count, side, side, 1)).astype("float32")
    y = np.repeat(np.arange(3), count)
    x[y == 0, : side // 2] += 10
    x[y == 1, :, : side // 2] += 10
    x[y == 2, 2:-2, 2:-2] += 10
    return x, y


@pytest.fixture
def npz(tmp_path):
    """An `.npz` file of shapes."""
    x, y = shapes()
    np.savez(tmp_path / "shapes.npz", x=x, y=y)
    return tmp_path / "shapes.npz"


@pytest.fixture
def folder(tmp_path):
    """A folder of grey images, one sub-folder a class."""
    x, y = shapes(count=6)
    for number, (image, label) in enumerate(zip(x, y, strict=True)):
        place = tmp_path / "photos" / ("disc", "bar", "box")[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image[..., 0] * 15).astype("uint8")).save(place / f"{number}.png")
    return tmp_path / "photos"


SMALL = ("--epochs", 2, "--width", 8, "--embedding-dim", 8, "--batch", 12)


@pytest.fixture
def trained(command, npz, tmp_path):
    """Folder of a finished small run."""
    code, _, err = command("train", npz, *SMALL, "--output", tmp_path / "run")
    assert code == 0, err
    return tmp_path / "run"
