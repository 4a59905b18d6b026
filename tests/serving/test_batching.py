"""Rows of several requests in one call of the model, without one request's trouble becoming another's."""

import threading
import time
from concurrent import futures

import numpy as np
import pytest
import tensorflow as tf

from keras_metric.serving.server.batching import Batcher
from keras_metric.serving.server.problems import RequestProblem


class Doubler:
    """Stands for a signature: doubles its rows, refuses negative ones, and notes what it got."""

    name = "double"
    batches = True
    inputs = {"x": tf.TensorSpec((None, None))}

    def __init__(self):
        self.calls = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Semaphore(0)

    def run(self, arrays):
        self.calls.append(arrays["x"].copy())
        self.began.release()
        assert self.go.wait(10)
        if (arrays["x"] < 0).any():
            raise RequestProblem("negative")
        return {"y": 2 * arrays["x"]}


def row(value, width=2):
    return {"x": np.full((1, width), float(value))}


@pytest.fixture
def signature():
    return Doubler()


@pytest.fixture
def pool():
    with futures.ThreadPoolExecutor(32) as pool:
        yield pool


def gathered(batcher, signature, pool, requests):
    """Runs requests that all come while the model is busy with one before them."""
    signature.go.clear()
    first = pool.submit(batcher.run, signature, row(99))
    assert signature.began.acquire(timeout=5)
    answers = []
    for place, request in enumerate(requests, 1):
        answers.append(pool.submit(batcher.run, signature, request))
        while len(batcher.queue) < place:
            time.sleep(0.001)
    signature.go.set()
    assert first.result(5)["y"].tolist() == [[198, 198]]
    return answers


def test_what_comes_meanwhile_goes_together(signature, pool):
    seen = []
    batcher = Batcher(max_rows=64, observe=seen.append)
    answers = gathered(batcher, signature, pool, [row(value) for value in range(10)])
    for value, answer in enumerate(answers):
        assert answer.result(5)["y"].tolist() == [[2 * value, 2 * value]]
    assert seen == [1, 10]
    assert [len(x) for x in signature.calls] == [1, 10]
    batcher.close()


def test_no_batch_is_larger_than_allowed(signature, pool):
    batcher = Batcher(max_rows=4)
    answers = gathered(batcher, signature, pool, [row(value) for value in range(10)])
    assert [int(answer.result(5)["y"][0, 0]) for answer in answers] == list(range(0, 20, 2))
    assert [len(x) for x in signature.calls] == [1, 4, 4, 2]
    batcher.close()


def test_a_large_request_runs_in_parts(signature):
    batcher = Batcher(max_rows=4)
    x = np.arange(22.0).reshape(11, 2)
    np.testing.assert_array_equal(batcher.run(signature, {"x": x})["y"], 2 * x)
    assert [len(one) for one in signature.calls] == [4, 4, 3]
    batcher.close()


def test_only_the_bad_request_fails(signature, pool):
    batcher = Batcher()
    answers = gathered(batcher, signature, pool, [row(1), row(-1), row(3)])
    assert answers[0].result(5)["y"][0, 0] == 2 and answers[2].result(5)["y"][0, 0] == 6
    with pytest.raises(RequestProblem, match="negative"):
        answers[1].result(5)
    batcher.close()


def test_rows_of_different_shapes_stay_apart(signature, pool):
    batcher = Batcher()
    answers = gathered(batcher, signature, pool, [row(1), row(2, 3), row(3), row(4, 3)])
    assert [answer.result(5)["y"].shape[1] for answer in answers] == [2, 3, 2, 3]
    assert [x.shape for x in signature.calls] == [(1, 2), (2, 2), (2, 3)]
    batcher.close()


def test_waiting_for_company(signature, pool):
    batcher = Batcher(max_rows=3, max_wait=5.0)
    answers = [pool.submit(batcher.run, signature, row(value)) for value in range(3)]
    began = time.monotonic()
    assert sorted(int(answer.result(5)["y"][0, 0]) for answer in answers) == [0, 2, 4]
    assert time.monotonic() - began < 4  # full: nothing more to wait for
    assert [len(x) for x in signature.calls] == [3]
    batcher.close()


def test_a_lonely_request_waits_no_longer_than_told(signature):
    batcher = Batcher(max_wait=0.15)
    began = time.monotonic()
    batcher.run(signature, row(1))
    assert 0.14 <= time.monotonic() - began < 2
    batcher.close()


def test_without_batching(signature, pool):
    batcher = Batcher(max_rows=0)
    answers = [pool.submit(batcher.run, signature, row(value)) for value in range(8)]
    assert [int(answer.result(5)["y"][0, 0]) for answer in answers] == list(range(0, 16, 2))
    assert len(signature.calls) == 8
    batcher.close()


def test_closing_answers_what_is_there(signature, pool):
    batcher = Batcher(max_wait=30.0)
    answers = [pool.submit(batcher.run, signature, row(value)) for value in range(5)]
    while len(batcher.queue) < 5:
        time.sleep(0.001)
    began = time.monotonic()
    batcher.close()
    assert sorted(int(answer.result(5)["y"][0, 0]) for answer in answers) == [0, 2, 4, 6, 8]
    assert time.monotonic() - began < 5
    with pytest.raises(RequestProblem, match="stopping"):
        batcher.run(signature, row(1))
