"""The image search example, on made-up images in files like those that it reads."""

import gzip
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import BACKEND

EXAMPLE = Path(__file__).parents[2] / "examples" / "image_search.py"

pytestmark = pytest.mark.skipif(BACKEND != "tensorflow", reason="data and export need TensorFlow")


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *map(str, words)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")


def shapes(count):
    """Images (count, 28, 28) of ten classes: bars at different heights."""
    labels = np.arange(count) % 10
    images = np.random.default_rng(count).integers(0, 60, (count, 28, 28)).astype("uint8")
    for image, label in zip(images, labels, strict=True):
        image[2 + 2 * label : 6 + 2 * label] += 150
    return images, labels.astype("uint8")


def fashion_mnist(folder):
    folder.mkdir()
    for split, count in (("train", 200), ("t10k", 100)):
        images, labels = shapes(count)
        # What stands before the pixels and the labels in the real files: 16 and 8 bytes.
        (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(bytes(16) + images.tobytes())
        )
        (folder / f"{split}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(bytes(8) + labels.tobytes())
        )
    return folder


def photos(folder):
    from PIL import Image

    images, labels = shapes(60)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / f"bar {label % 3}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.{'jpg' if number % 2 else 'png'}")
    return folder


@pytest.mark.parametrize("source", ["--fashion-mnist", "--images"])
def test_from_images_to_a_served_search(source, tmp_path, monkeypatch, capsys):
    pytest.importorskip("requests")
    folder = (fashion_mnist if source == "--fashion-mnist" else photos)(tmp_path / "data")
    out = tmp_path / "image_search"
    run(monkeypatch, source, folder, "--epochs", 1, "--steps", 3, "--held-out", 40, "--storage", "int8",
        "--size", 20, "--out", out)  # fmt: skip
    printed = capsys.readouterr().out
    assert "40 of them held out" in printed and "hit@1 " in printed
    assert "importing keras and keras_metric fails" in printed
    assert printed.count("neighbours [") == 5
    card = json.loads((out / "1" / "model_card.json").read_text())
    assert set(card["signatures"]) == {"embed", "similarity", "preprocess", "search", "match"}
    assert card["threshold"] is not None and card["index"]["k"] == 5 and "hit@1" in card["metrics"]
    assert (out / "encoder.keras").exists() and (out / "index" / "index.json").exists()
