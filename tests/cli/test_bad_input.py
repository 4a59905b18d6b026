import numpy as np
import pytest

from tests.cli.conftest import SMALL, shapes


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


X, Y = shapes()
WITH_NAN = X.copy()
WITH_NAN[[3, 7]] = np.nan


@pytest.mark.parametrize(
    "arrays, said",
    [
        ({"x": X, "y": Y[:-1]}, "same number of rows"),
        ({"x": WITH_NAN, "y": Y}, "NaN or infinity in 2 of 36 examples, first in row 3"),
        ({"x": X}, "needs the arrays x and y; it holds ['x']"),
        ({"x": X, "y": Y + 0.5}, "whole numbers or words"),
        ({"x": X[:0], "y": Y[:0]}, "holds no examples"),
        ({"x": X[:, 0, 0, 0], "y": Y}, "2 or more axes"),
        ({"x": X, "y": np.zeros(len(X), int)}, "all of one class"),
        ({"x": X, "y": np.arange(len(X))}, "single example"),
    ],
)
def test_bad_arrays(command, tmp_path, arrays, said):
    path = save(tmp_path / "bad.npz", **arrays)
    code, _, err = command("train", path, *SMALL, "--output", tmp_path / "run")
    assert code == 1
    assert said in err
    assert err.count("\n") == 1 and "Traceback" not in err
    assert not (tmp_path / "run" / "model.keras").exists()


def test_more_classes_asked_for_than_there_are(command, npz, tmp_path):
    code, _, err = command("train", npz, "--classes-per-batch", 4, "--output", tmp_path / "run")
    assert code == 1
    assert "classes_per_batch" in err and "3" in err


def test_a_file_that_is_no_npz(command, tmp_path):
    path = tmp_path / "bad.npz"
    for content in (b"PK\x03\x04 and then nothing", b"words", b""):
        path.write_bytes(content)
        code, _, err = command("train", path, "--output", tmp_path / "run")
        assert code == 1 and str(path) in err and err.count("\n") == 1 and "pickle" not in err


def test_an_empty_folder(command, tmp_path):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    code, _, err = command("train", tmp_path / "photos", "--output", tmp_path / "run")
    assert code == 1 and "holds no images" in err


def test_an_unreadable_image(command, folder, tmp_path):
    (folder / "bar" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    code, _, err = command("train", folder, "--output", tmp_path / "run")
    assert code == 1 and "broken.png" in err and err.count("\n") == 1


def test_a_path_that_is_not_there(command, tmp_path):
    code, _, err = command("train", tmp_path / "nowhere", "--output", tmp_path / "run")
    assert code == 1 and "nowhere: no such folder or file" in err


def test_a_data_set_that_is_not_there(command, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    code, _, err = command(
        "train",
        "--dataset",
        "no_such_data_set",
        "--data-dir",
        tmp_path,
        "--output",
        tmp_path / "run",
    )
    assert code == 1 and "no_such_data_set" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "COMMAND"),
        (("launch",), "invalid choice"),
        (("train",), "either DATA"),
        (("train", "DATA", "--dataset", "mnist"), "either DATA"),
        (("train", "DATA", "--loss", "tripletloss"), "invalid choice: 'tripletloss'"),
        (("train", "DATA", "--miner", "semihard"), "invalid choice: 'semihard'"),
        (("train", "DATA", "--loss", "nt_xent", "--miner", "hardest"), "takes no miner"),
        (("train", "DATA", "--set", "margin"), "NAME=VALUE"),
        (("train", "DATA", "--set", "temperature=-1"), "`temperature` of NTXentLoss must be"),
        (("train", "DATA", "--epochs", "0"), "whole number >= 1. Received: '0'"),
        (("train", "DATA", "--held-out", "1"), "from 0 to below 1"),
        (("train", "DATA", "--learning-rate", "nan"), "number > 0"),
        (("train", "DATA", "--resume", "--overwrite"), "not both"),
        (("evaluate", "model.keras"), "either DATA"),
        (("evaluate", "model.keras", "DATA", "--report", "page.pdf"), "ends in .html"),
        (
            ("evaluate", "model.keras", "DATA", "--report", "p.html", "--output", "p.json"),
            "give --output another path",
        ),
        (("embed", "model.keras", "DATA"), "--output"),
        (("search", "gallery", "model.keras", "DATA", "-k", "0"), "whole number >= 1"),
        (("demo", "--epochs", "many"), "whole number >= 1"),
    ],
)
def test_bad_usage(command, npz, words, said):
    code, out, err = command(*(npz if word == "DATA" else word for word in words))
    assert code == 2
    assert out == ""
    assert err.startswith("usage: keras-metric") and said in err
    assert err.splitlines()[-1].startswith("keras-metric") and "Traceback" not in err


def test_a_model_that_is_not_there(command, npz, tmp_path):
    code, _, err = command("evaluate", tmp_path / "none.keras", npz)
    assert code == 1 and "none.keras: no such model" in err


def test_a_file_that_is_no_model(command, npz, tmp_path):
    (tmp_path / "bad.keras").write_bytes(b"nothing")
    code, _, err = command("evaluate", tmp_path / "bad.keras", npz)
    assert code == 1 and "bad.keras" in err and err.count("\n") == 1


def test_examples_that_do_not_fit_the_model(command, trained, tmp_path):
    other = save(tmp_path / "large.npz", x=np.zeros((6, 9, 9, 1), "float32"), y=Y[:6])
    code, _, err = command("evaluate", trained, other)
    assert code == 1 and "(9, 9, 1)" in err and "(8, 8, 1)" in err


def test_debug_shows_where_it_failed(command, tmp_path):
    with pytest.raises(Exception, match="no such folder or file"):
        command("train", tmp_path / "nowhere", "--debug")
