import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

import keras_metric
from keras_metric.cli.main import COMMANDS, build_parser
from tests.cli.conftest import SMALL


def test_every_command_shows_an_example(command):
    assert [one.NAME for one in COMMANDS] == [
        "demo", "data", "train", "evaluate", "export", "verify", "embed", "index", "search", "match", "serve",
    ]  # fmt: skip
    for one in COMMANDS:
        code, out, _ = command(one.NAME, "--help")
        assert code == 0
        example = out.partition("example:\n")[2].strip()
        assert example.startswith(f"keras-metric {one.NAME} ")
        parsed = build_parser()[0].parse_args(shlex.split(example)[1:])
        assert parsed.run is one.run


def test_version(command):
    code, out, _ = command("--version")
    assert code == 0 and out.strip() == keras_metric.__version__


def test_evaluate(command, npz, trained, tmp_path):
    code, out, err = command("evaluate", trained, npz, "--output", tmp_path / "figures.json")
    assert code == 0, err
    assert re.search(r"this encoder +[01]\.\d{4}", out) and "raw inputs" in out
    assert (tmp_path / "figures.json").exists()


def test_evaluate_writes_a_page(command, folder, trained, tmp_path):
    page = tmp_path / "new" / "page.html"
    figures = tmp_path / "figures.json"
    code, out, err = command("evaluate", trained, folder, "--report", page, "--output", figures)
    assert code == 0, err
    assert out.splitlines()[-1] == f"Look at {page}"
    told = json.loads(page.with_suffix(".json").read_text())
    assert [one["name"] for one in sorted(told["classes"], key=lambda one: one["class"])] == [
        "bar", "box", "disc",
    ]  # fmt: skip
    # The page says what the table says.
    table = json.loads(figures.read_text())["encoder"]
    assert {name: told["figures"][name]["value"] for name in table} == pytest.approx(table)
    assert page.read_text().count("<img") > 36
    worst = told["queries"]["worst"][0]["origin"]
    assert (folder / worst).is_file() and worst in page.read_text()


def test_embed(command, npz, trained, tmp_path):
    code, _, err = command("embed", trained / "model.keras", npz, "--output", tmp_path / "e.npz")
    assert code == 0, err
    written = np.load(tmp_path / "e.npz")
    assert written["embeddings"].shape == (36, 8)
    np.testing.assert_allclose(np.linalg.norm(written["embeddings"], axis=1), 1, rtol=1e-5)
    assert list(written["labels"]) == ["0"] * 12 + ["1"] * 12 + ["2"] * 12


def test_index_and_search(command, npz, trained, tmp_path):
    pytest.importorskip("keras_metric.index")
    gallery = tmp_path / "gallery"
    code, _, err = command("index", trained, npz, "--output", gallery)
    assert code == 0, err
    code, out, err = command("search", gallery, trained, npz, "--k", 3, "--limit", 2)
    assert code == 0, err
    lines = out.splitlines()
    assert len(lines) == 2 * (1 + 3)
    assert lines[0] == "row 0 (0):"
    # Everything is in the gallery, so the nearest to row 0 is itself.
    assert re.match(r" +1 +distance -?0\.0000 +0 +row 0$", lines[1])
    assert command("index", trained, npz, "--output", gallery)[0] == 1
    assert command("index", trained, npz, "--output", gallery, "--overwrite")[0] == 0


def test_compressed_index_tells_its_recall(command, npz, trained, tmp_path):
    code, out, err = command("index", trained, npz, "--output", tmp_path / "g", "--storage", "int8")
    assert code == 0, err
    assert re.search(r"int8: finds (0\.9\d+|1\.0000) of the true 10 nearest", out)
    code, out, err = command("search", tmp_path / "g", trained, npz, "--k", 1)
    assert code == 0 and out.count("distance -0.0000") + out.count("distance 0.0000") == 36


def test_match(command, npz, trained, tmp_path):
    gallery = tmp_path / "gallery"
    command("index", trained, npz, "--output", gallery)
    code, out, err = command("match", gallery, trained, npz, "--threshold", 0.001, "--limit", 3)
    assert code == 0, err
    assert re.match(r"row 0 \(0\):  distance -?0\.0000  0  row 0$", out.splitlines()[0])
    assert out.splitlines()[-1] == "3 of 3 matched."
    code, out, err = command("match", gallery, trained, npz, "--threshold", -1, "--by", "vote")
    assert code == 0 and out.splitlines()[-1] == "0 of 36 matched." and out.count("no match") == 36
    code, _, err = command("match", tmp_path / "none", trained, npz, "--threshold", 1)
    assert code == 1 and "no such index" in err


def test_export_with_an_index_of_image_files_and_verify(command, folder, tmp_path):
    run, gallery = tmp_path / "run", tmp_path / "gallery"
    code, _, err = command("train", folder, *SMALL, "--image-size", 8, "--output", run)
    assert code == 0, err
    assert command("index", run, folder, "--output", gallery)[0] == 0
    code, out, err = command(
        "export", run, run, "--index", gallery, "--threshold", 0.3, "-k", 3, "--encoded-images"
    )
    assert code == 0, err
    code, out, err = command("verify", run, run, folder, "--no-cpp")
    assert code == 0, err
    assert re.search(r"search +\d\.\de-\d\d", out) and "match" in out and "1, 2, 5, 16, 33" in out
    code, _, err = command("verify", run, run, "--no-cpp")
    assert code == 1 and "give DATA" in err
    code, _, err = command("verify", tmp_path / "nowhere", run)
    assert code == 1 and "nowhere" in err and err.count("\n") == 1
    (run / "1" / "saved_model.pb").write_bytes(b"damaged")
    code, _, err = command("verify", run, run, folder, "--no-cpp")
    assert code == 1 and "saved_model.pb" in err and "changed" in err


def test_export_to_other_formats(command, npz, trained, tmp_path):
    code, out, err = command(
        "export", trained, tmp_path / "e.tflite", "--format", "litert", "--precision", "int8", "--data", npz
    )  # fmt: skip
    assert code == 0, err
    assert re.search(r"e\.tflite: [\d,]+ bytes; embeddings of 36 rows differ by \d\.\de-\d\d", out)
    code, _, err = command("export", trained, tmp_path / "e.tflite", "--format", "litert")
    assert code == 1 and "or give --overwrite" in err and "overwrite=True" not in err
    code, _, err = command(
        "export", trained, tmp_path / "e.tflite", "--format", "litert", "--precision", "int8"
    )
    assert code == 2 and "--data" in err
    code, _, err = command(
        "export", trained, tmp_path / "e.onnx", "--format", "onnx", "--index", "g"
    )
    assert code == 2 and "--index" in err
    for option in (("--threshold", 0), ("--distance", "euclidean"), ("--k", 3)):
        code, _, err = command("export", trained, tmp_path / "e.onnx", "--format", "onnx", *option)
        assert code == 2 and f"{option[0]} goes with" in err
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    code, out, err = command("export", trained, tmp_path / "e.onnx", "--format", "onnx")
    assert code == 0 and "e.onnx" in out, err


def test_export_takes_the_next_version(command, trained):
    for version in ("1", "2"):
        code, out, err = command("export", trained, trained, "--threshold", 0.4)
        assert code == 0, err
        assert (trained / version / "saved_model.pb").exists()
    code, _, err = command("export", trained, trained, "--version", 1)
    assert code == 1 and "Leave --version out" in err and "or give --overwrite" in err
    assert err.count("\n") == 1


def test_interrupted_run_says_so(command, npz, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_metric.cli.train.sources.read", interrupt)
    code, _, err = command("train", npz, *SMALL, "--output", tmp_path / "run")
    assert code == 130 and "stopped" in err


def test_a_usage_error_is_all_that_a_person_sees():
    done = subprocess.run(
        [sys.executable, "-m", "keras_metric_cli", "evaluate"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: keras-metric evaluate")
    assert done.stderr.splitlines()[-1].startswith("keras-metric evaluate: error: ")
    assert all(
        line.startswith(("usage:", " ", "keras-metric")) for line in done.stderr.splitlines()
    )
