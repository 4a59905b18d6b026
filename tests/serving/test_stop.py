"""A stop that loses nothing: what was accepted has its answer, what comes after is told so."""

import http.client
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from urllib import parse

import numpy as np
import pytest

from keras_metric import serving
from keras_metric.serving import Client, LocalServer
from tests.serving.conftest import mean_colours, squares
from tests.serving.support import ask

BODY = json.dumps({"instances": squares("red").tolist()})


@pytest.fixture
def slow(exported):
    """A server whose model takes a third of a second."""
    pytest.importorskip("tensorflow_serving.apis")
    app = LocalServer(exported, port=0, grpc_port=0, max_batch=2)
    run = type(next(iter(app.model.signatures.values()))).run
    for one in app.model.signatures.values():
        one.run = lambda arrays, one=one: (time.sleep(0.3), run(one, arrays))[1]
    yield app
    app.stop()


def in_flight(app, count):
    for _ in range(500):
        if app.gate.inside >= count and (app.batcher.queue or count < 3):
            return
        time.sleep(0.01)
    raise AssertionError(f"{app.gate.inside} of {count} requests came")


def test_accepted_requests_are_answered_and_new_ones_refused(slow):
    url = parse.urlsplit(slow.url)
    kept = [http.client.HTTPConnection(url.hostname, url.port, timeout=20) for _ in range(3)]
    for connection in kept:
        connection.request("GET", "/health")
        assert connection.getresponse().read()
    with (
        futures.ThreadPoolExecutor(16) as pool,
        Client(slow.grpc_address, "colours", "grpc") as client,
    ):
        client.signatures()
        answers = [pool.submit(ask, slow, body=BODY) for _ in range(7)]
        remote = pool.submit(client.embed, squares("blue"))
        in_flight(slow, 7)
        time.sleep(0.1)
        stopping = pool.submit(slow.stop)
        while not slow.gate.closed:
            time.sleep(0.001)
        # One that keeps its connection and comes too late is told so, or finds it closed: never silence.
        try:
            kept[0].request("POST", "/v1/models/colours:predict", BODY)
            late = kept[0].getresponse()
            assert late.status == 503 and "stopping" in json.loads(late.read())["error"]
        except (http.client.RemoteDisconnected, ConnectionError):
            pass
        assert [answer.result(10)[0] for answer in answers] == [200] * 7
        np.testing.assert_allclose(remote.result(10), mean_colours(squares("blue")), atol=1e-5)
        assert stopping.result(10)
    with pytest.raises(ConnectionError):
        ask(slow, "GET", "/health")
    for connection in kept:
        connection.close()


def test_a_stop_does_not_wait_for_ever(slow):
    with futures.ThreadPoolExecutor(4) as pool:
        answer = pool.submit(ask, slow, body=BODY)
        in_flight(slow, 1)
        assert not slow.stop(0.05)
        assert answer.result(10)[0] in (200, 503)


def test_silent_connections_do_not_hold_up_a_stop(exported):
    app = LocalServer(exported, port=0)
    url = parse.urlsplit(app.url)
    silent = [http.client.HTTPConnection(url.hostname, url.port) for _ in range(5)]
    for connection in silent:
        connection.connect()
    began = time.monotonic()
    assert app.stop()
    assert time.monotonic() - began < 3
    for connection in silent:
        connection.close()


# Fails when keras or the library is loaded, then runs the server's folder alone.
ALONE = """
import importlib.util, runpy, sys
spec = importlib.util.spec_from_file_location("probe", sys.argv[1])
probe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(probe)
sys.meta_path.insert(0, probe.Blocker())
sys.path.insert(0, sys.argv[2])
sys.argv = ["server", *sys.argv[3:]]
runpy.run_module("server", run_name="__main__", alter_sys=True)
"""


def test_the_folder_alone_without_keras_stops_on_sigterm_under_load(exported):
    probe = importlib.util.find_spec("keras_metric.export.probe").origin
    folder = Path(serving.__file__).parent
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", ALONE, probe, str(folder), str(exported), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        lines = [process.stdout.readline() for _ in range(4)]
        found = re.search(r"http://127\.0\.0\.1:(\d+)/v1", "".join(lines))
        assert found, "".join(lines) + process.communicate(timeout=20)[1]
        port = int(found[1])
        outcomes, halves, stop_at = [], [], threading.Event()

        def client():
            connection = None
            for _ in range(5000):
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                try:
                    connection.request("POST", "/v1/models/colours:predict", BODY)
                    answer = connection.getresponse()
                except ConnectionError:  # refused, or closed before any byte of an answer
                    connection.close()
                    connection = None
                    if stop_at.is_set():
                        return
                    outcomes.append("lost")
                    continue
                try:
                    content = json.loads(answer.read())
                except (http.client.IncompleteRead, ValueError):
                    halves.append(answer.status)
                    return
                outcomes.append(answer.status)
                assert set(content) == ({"predictions"} if answer.status == 200 else {"error"})
                if answer.status == 503:
                    return

        threads = [threading.Thread(target=client) for _ in range(12)]
        for thread in threads:
            thread.start()
        while len(outcomes) < 100:
            assert process.poll() is None
            time.sleep(0.01)
        stop_at.set()
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(30)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "every accepted request has its answer" in out
    assert halves == [] and set(outcomes) <= {200, 503} and outcomes.count(200) >= 100
