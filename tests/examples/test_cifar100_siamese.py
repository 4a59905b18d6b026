"""The CIFAR-100 example, on made-up images in the place of the data set."""

import runpy
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support import BACKEND

EXAMPLE = Path(__file__).parents[2] / "examples" / "cifar100_siamese.py"

pytestmark = pytest.mark.skipif(BACKEND != "tensorflow", reason="data and export need TensorFlow")


def made_up(split, **kwargs):
    """What `tfds.load(batch_size=-1, as_supervised=True)` gives: 40 classes of a colour each."""
    import tensorflow as tf

    rng = np.random.default_rng(0 if split == "train" else 1)
    labels = np.repeat(np.arange(40), 6 if split == "train" else 3)
    colours = np.random.default_rng(2).integers(0, 256, (40, 1, 1, 3))
    noise = rng.integers(-8, 9, (len(labels), 32, 32, 3))
    images = np.clip(colours[labels] + noise, 0, 255).astype("uint8")
    return tf.constant(images), tf.constant(labels)


@pytest.mark.parametrize(
    "options", [[], ["--loader", "pk", "--miner", "hardest", "--optimizer", "sgd", "--size", "16"]]
)
def test_runs_and_keeps_what_it_made(options, tmp_path, monkeypatch, capsys):
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(tfds, "load", lambda name, **kwargs: made_up(**kwargs))
    arguments = ["--epochs", "1", "--steps", "3", "--out", str(tmp_path / "out"), *options]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *arguments])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "images seen 288" in printed
    assert "raw pixels  hit@1" in printed
    out = tmp_path / "out"
    assert (out / "1" / "saved_model.pb").exists()
    assert (out / "trainer.weights.h5").exists()
    assert list((out / "logs" / "train").iterdir())
    encoder = keras.models.load_model(out / "encoder.keras")
    embeddings = encoder.predict(made_up("test")[0], verbose=0)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, rtol=1e-5)
