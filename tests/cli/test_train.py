import json

import keras
import numpy as np
import pytest

from tests.cli.conftest import SMALL, shapes


def figures(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_writes_model_settings_and_metrics(trained):
    assert keras.saving.load_model(trained / "model.keras").output_shape == (None, 8)
    settings = json.loads((trained / "settings.json").read_text())
    assert settings["epochs"] == 2 and settings["loss"] == "nt_xent" and settings["seed"] == 0
    assert settings["versions"]["keras"] == keras.__version__
    told = figures(trained)
    assert len(told["history"]) == 2
    assert told["judged_on"] == "held-out"
    assert 0 <= told["encoder"]["map@r"] <= 1


def test_learns_what_is_easy(command, npz, tmp_path):
    code, out, _ = command(
        "train", npz, "--epochs", 8, "--width", 8, "--output", tmp_path / "run", "--held-out", 0.34
    )
    assert code == 0
    assert figures(tmp_path / "run")["encoder"]["map@r"] > 0.95
    assert "this encoder" in out and "raw inputs" in out


def test_resumed_run_equals_one_without_a_break(command, npz, tmp_path):
    rest = ("--width", 8, "--embedding-dim", 8, "--batch", 12, "--seed", 3)
    command("train", npz, "--epochs", 3, *rest, "--output", tmp_path / "whole")
    command("train", npz, "--epochs", 1, *rest, "--output", tmp_path / "broken")
    code, _, err = command(
        "train", npz, "--epochs", 3, *rest, "--output", tmp_path / "broken", "--resume"
    )
    assert code == 0, err
    assert figures(tmp_path / "broken") == figures(tmp_path / "whole")
    one, other = (
        keras.saving.load_model(tmp_path / name / "model.keras", compile=False).get_weights()
        for name in ("whole", "broken")
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_seed_is_another_run(command, npz, tmp_path):
    for seed in (0, 1):
        command("train", npz, *SMALL, "--seed", seed, "--output", tmp_path / str(seed))
    assert figures(tmp_path / "0")["history"] != figures(tmp_path / "1")["history"]


def test_resume_without_anything_begins(command, npz, tmp_path):
    code, _, _ = command("train", npz, *SMALL, "--resume", "--output", tmp_path / "new")
    assert code == 0 and (tmp_path / "new" / "model.keras").exists()


def test_a_run_is_not_written_over(command, npz, trained):
    before = (trained / "model.keras").read_bytes()
    code, _, err = command("train", npz, *SMALL, "--output", trained)
    assert code == 1
    assert "--resume" in err and "--overwrite" in err
    assert (trained / "model.keras").read_bytes() == before


def test_resume_with_other_settings_is_refused(command, npz, trained):
    code, _, err = command(
        "train", npz, *SMALL, "--loss", "triplet", "--resume", "--output", trained
    )
    assert code == 1
    assert "loss='nt_xent'" in err


def test_overwrite_begins_anew(command, npz, trained):
    code, _, _ = command("train", npz, *SMALL, "--seed", 5, "--overwrite", "--output", trained)
    assert code == 0
    assert json.loads((trained / "settings.json").read_text())["seed"] == 5
    assert len(figures(trained)["history"]) == 2


def test_trains_on_a_folder_of_images(command, folder, tmp_path):
    code, out, err = command(
        "train", folder, *SMALL, "--image-size", 8, "--output", tmp_path / "run"
    )
    assert code == 0, err
    assert "18 examples of 3 classes" in out
    model = keras.saving.load_model(tmp_path / "run" / "model.keras", compile=False)
    assert model.input_shape == (None, 8, 8, 1)


def test_trains_on_features(command, tmp_path):
    x, y = shapes()
    np.savez(
        tmp_path / "rows.npz", images=x.reshape(len(x), -1), labels=np.array(["a", "b", "c"])[y]
    )
    code, _, err = command("train", tmp_path / "rows.npz", *SMALL, "--output", tmp_path / "run")
    assert code == 0, err


@pytest.mark.parametrize(
    "words",
    [
        ("--loss", "triplet", "--miner", "hardest", "--set", "margin=0.3"),
        ("--loss", "contrastive", "--set", "squared=false"),
        ("--loss", "nt_xent", "--set", "temperature=0.2", "--no-augment", "--held-out", 0),
    ],
)
def test_takes_losses_with_their_settings(command, npz, tmp_path, words):
    code, _, err = command("train", npz, *SMALL, *words, "--output", tmp_path / "run")
    assert code == 0, err
