"""Without Apache Beam, importing the room says what to install."""

import importlib
import sys

import pytest


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    for name in [name for name in sys.modules if name.startswith("keras_metric.beam")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match="keras-metric\\[beam\\]"):
        importlib.import_module("keras_metric.beam")
