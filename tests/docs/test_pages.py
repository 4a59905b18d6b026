"""Every name in the documentation exists, every constructor shown can be built, every marked block runs."""

import functools
import importlib
import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import (
    PAGES,
    ROOMS,
    ROOT,
    can_be_built,
    dotted,
    expressions,
    names_in_code,
    runnable,
)

IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def resolve(name):
    """The object of a dotted name below `keras_metric`."""
    room, *rest = name.split(".")
    module = importlib.import_module(f"keras_metric.{room}")
    while rest:
        submodule = f"{module.__name__}.{rest[0]}"
        if not hasattr(module, rest[0]) and importlib.util.find_spec(submodule):
            module = importlib.import_module(submodule)
            rest.pop(0)
            continue
        return functools.reduce(getattr, rest, module)
    return module


def exists(name):
    try:
        resolve(name)
    except (AttributeError, ImportError):
        return False
    return True


def test_there_are_pages():
    assert {"README.md", "docs/migrating.md", "docs/choosing-a-loss.md", "docs/backends.md"} <= set(
        IDS
    )


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_name_exists(page):
    text = page.read_text()
    names = {dotted(source) for source in expressions(text)} | set(names_in_code(text))
    missing = {name for name in names if not exists(name)}
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_constructor_shown_can_be_built(page):
    rooms = {}
    for source in expressions(page.read_text()):
        if can_be_built(source):
            for room in ROOMS & set(dotted(source).split(".")[:1]):
                rooms[room] = importlib.import_module(f"keras_metric.{room}")
            assert eval(source, dict(rooms)) is not None, source


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_inside_the_project_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "page", [p for p in PAGES if runnable(p.read_text())], ids=lambda p: p.name
)
def test_marked_blocks_run(page, tmp_path):
    code = "\n".join(runnable(page.read_text()))
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr


def test_the_check_sees_what_is_wrong():
    text = "`losses.NoSuchLoss()` and `losses.TripletLoss(margin=0.1)` and `x.y`\n"
    assert expressions(text) == ["losses.NoSuchLoss()", "losses.TripletLoss(margin=0.1)"]
    assert not exists("losses.NoSuchLoss")
    assert exists("losses.TripletLoss")
    assert can_be_built("losses.TripletLoss(margin=0.1)")
    assert not can_be_built("data.pk_batches(x, y)")
    assert runnable("<!-- run -->\n```python\na = 1\n```\n```python\nb\n```\n") == ["a = 1\n"]
    assert names_in_code("```python\nkeras_metric.losses.A()\n```\n") == ["losses.A"]
