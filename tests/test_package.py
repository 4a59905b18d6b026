"""Metadata, extras and pages that must agree with the code."""

import ast
import configparser
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import keras_metric
from keras_metric import extras

ROOT = Path(__file__).parents[1]
EXTRAS = {
    "all", "beam", "data", "dev", "evaluation", "index", "onnx", "plots", "qdrant", "serving",
    "tensorboard", "test",
}  # fmt: skip


@pytest.fixture(scope="module")
def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_version_is_the_same_everywhere(setup_cfg):
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", keras_metric.__version__)
    assert setup_cfg["metadata"]["version"] == "attr: keras_metric.__version__"
    newest = re.search(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == keras_metric.__version__


def test_installed_metadata():
    try:
        installed = importlib.metadata.metadata("keras-metric")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("keras-metric is not installed here; `python3 bootstrap.py test` installs it")
    assert installed["Name"] == "keras-metric"
    assert installed["Version"] == keras_metric.__version__
    assert set(installed.get_all("Provides-Extra")) == EXTRAS
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="keras-metric")
    assert command.value == "keras_metric_cli:main"


def test_extras_are_those_that_are_documented(setup_cfg):
    assert set(setup_cfg["options.extras_require"]) == EXTRAS


def test_code_names_only_extras_that_exist():
    named = set()
    for path in (ROOT / "keras_metric").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("require"):
                words = {word.arg: word.value for word in call.keywords}
                extra = words.get("extra", call.args[1] if len(call.args) > 1 else None)
                if isinstance(extra, ast.Constant):
                    named.add(extra.value)
    assert named <= EXTRAS


def test_a_missing_extra_says_how_to_get_it():
    with pytest.raises(ImportError, match=r"pip install 'keras-metric\[evaluation\]'"):
        extras.require("keras_metric_no_such_package", extra="evaluation")


def test_an_extra_that_is_there_but_broken_says_what_it_lacks(tmp_path, monkeypatch):
    (tmp_path / "broken_extra.py").write_text("import something_it_needs_and_lacks\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_it_needs_and_lacks"):
        extras.require("broken_extra", extra="evaluation")


def test_readme_sets_up_in_two_commands():
    readme = (ROOT / "README.md").read_text()
    section = re.search(r"^## Set up\n(.*?)(?=^## )", readme, re.MULTILINE | re.DOTALL)[1]
    blocks = re.findall(r"```\w*\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 1
    commands = [line for line in blocks[0].splitlines() if line.strip()]
    assert commands == ["python3 bootstrap.py demo", "python3 bootstrap.py test"]
    assert commands[1] in (ROOT / ".ci" / "run").read_text()


def test_readme_links_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("arguments, code", [([], 2), (["launch"], 2), (["--help"], 0)])
def test_bootstrap_says_what_it_can_do(arguments, code):
    done = subprocess.run(
        [sys.executable, ROOT / "bootstrap.py", *arguments], capture_output=True, text=True
    )
    assert done.returncode == code
    assert "python3 bootstrap.py test" in done.stdout


def test_types_are_announced():
    assert (ROOT / "keras_metric" / "py.typed").exists()


def test_licence_is_apache():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
