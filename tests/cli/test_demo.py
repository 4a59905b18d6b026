"""The demo, and the examples of `--help`, as a reader would run them one after another."""

import json
import shlex
from pathlib import Path

import pytest

from keras_metric.cli import demo
from keras_metric.cli.main import COMMANDS

# `train` and `serve` take long; their own tests run them.
AFTERWARDS = [one for one in COMMANDS if one.NAME not in ("demo", "train", "serve")]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder in which the demo has run, briefly."""
    from keras_metric.cli.main import main

    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["demo", "--epochs", "2", "--embedding-dim", "16"]) == 0
    return folder


def test_what_the_demo_leaves(home):
    saved = home / "saved_models"
    for name in ("digits.keras", "digits/digits.png", "digits/1/saved_model.pb", "digits/gallery"):
        assert (saved / name).exists(), name
    figures = json.loads((saved / "digits" / "metrics.json").read_text())
    # Raw pixels need no training, so their figures are known: about 0.98 and 0.53; unseen digits 0.62.
    assert figures["held-out"]["pixels"]["hit@1"] == pytest.approx(0.98, abs=0.01)
    assert figures["held-out"]["pixels"]["map@r"] == pytest.approx(0.53, abs=0.02)
    assert figures["unseen"]["pixels"]["map@r"] == pytest.approx(0.62, abs=0.01)
    assert figures["held-out"]["encoder"]["map@r"] > figures["held-out"]["pixels"]["map@r"]


def test_the_examples_of_help_run_as_printed(home, command, monkeypatch):
    monkeypatch.chdir(home)
    for one in AFTERWARDS:
        code, _, err = command(*shlex.split(one.EXAMPLE)[1:])
        assert code == 0, (one.EXAMPLE, err)


def test_what_to_try_next_is_found_where_the_environment_is_not_active(tmp_path, monkeypatch):
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "keras-metric").write_text("#!/bin/sh\n")
    (folder / "keras-metric").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    assert demo.command() == str(Path(".venv/bin/keras-metric"))
    monkeypatch.setenv("PATH", str(folder))
    assert demo.command() == "keras-metric"
