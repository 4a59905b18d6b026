"""The share of each thread: set once for the process, and taken back by the last that leaves."""

import contextlib
import sys

import numpy as np
import pytest

from keras_metric.evaluation.processors import processors, shared_by


def blas_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    found = threadpoolctl.threadpool_info()
    return [one["num_threads"] for one in found if one["user_api"] == "blas"]


def test_the_last_to_leave_takes_the_limit_back():
    np.ones((2, 2)) @ np.ones((2, 2))
    before = blas_threads()
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(shared_by(processors()))
    second.enter_context(shared_by(processors()))
    assert set(blas_threads()) == {1}
    first.close()  # not the one that came last
    assert set(blas_threads()) == {1}
    second.close()
    assert blas_threads() == before


def test_an_error_takes_it_back_too():
    before = blas_threads()
    with pytest.raises(KeyError), shared_by(processors()):
        raise KeyError
    assert blas_threads() == before


def test_it_does_without_threadpoolctl(monkeypatch):
    before = blas_threads()
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with shared_by(processors()):
        pass
    monkeypatch.undo()
    assert blas_threads() == before
