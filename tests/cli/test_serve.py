import os
import signal
import threading
import time
import urllib.request

import pytest
import tensorflow as tf


@pytest.fixture
def exported(tmp_path):
    """A SavedModel that doubles vectors."""

    class Double(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="inputs")])
        def embed(self, inputs):
            return {"embedding": 2 * inputs}

    module = Double()
    path = tmp_path / "double" / "1"
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.embed})
    return path.parent


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_it_is_told_to_stop(command, exported, monkeypatch, number):
    from keras_metric.serving.server import command as server

    answers, apps = [], []

    class Watched(server.LocalServer):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            apps.append(self)

    def ask():
        for _ in range(1000):
            if apps and hasattr(apps[0], "stopped"):
                break
            time.sleep(0.01)
        try:
            url = f"{apps[0].url}/v1/models/twice:predict"
            with urllib.request.urlopen(url, data=b'{"instances": [[1, 2]]}', timeout=10) as answer:
                answers.append(answer.read())
        finally:
            time.sleep(0.2)  # the handlers of signals are set just after the server is there
            os.kill(os.getpid(), number)

    monkeypatch.setattr(server, "LocalServer", Watched)
    before = signal.getsignal(number)
    thread = threading.Thread(target=ask)
    thread.start()
    code, out, err = command("serve", exported, "--port", 0, "--name", "twice", "--max-wait", 1)
    thread.join()
    assert code == 0, err
    assert answers == [b'{"predictions":[[2.0,4.0]]}']
    assert "Serving 'twice', version 1" in out and "every accepted request" in out
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "PATH"),
        (("PATH", "--port", "70000"), "from 0 to 65535. Received: '70000'"),
        (("PATH", "--port", "-1"), "from 0 to 65535"),
        (("PATH", "--max-batch", "many"), "whole number >= 0"),
        (("PATH", "--max-wait", "nan"), "finite number"),
        (("PATH", "--grace", "-3"), "number >= 0"),
        (("PATH", "--pixel-range", "0"), "expected 2 arguments"),
        (("PATH", "--max-body", "0"), "whole number >= 1"),
    ],
)
def test_bad_usage(command, words, said):
    code, out, err = command("serve", *words)
    assert code == 2 and out == "" and said in err


def test_starts_that_fail(command, exported, tmp_path):
    for words, said in (
        ((tmp_path / "none",), "does not exist"),
        ((tmp_path,), "holds no SavedModel"),
        ((exported, "--port", 0, "--images", tmp_path / "none"), "pictures"),
        ((exported, "--host", "256.0.0.1", "--port", 0), "Cannot listen"),
    ):
        code, _, err = command("serve", *words)
        assert code == 1 and said in err and err.count("\n") == 1
