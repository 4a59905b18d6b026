"""The client over both protocols, and what it does when the server is not well."""

import json
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from keras_metric import serving
from keras_metric.serving import Client, inputs
from keras_metric.serving.transport import Description, Tensor
from tests.serving.conftest import COLOURS, THRESHOLD, mean_colours, squares

PROTOCOLS = ("rest", "grpc")


def client_of(app, protocol, **settings):
    url = app.url if protocol == "rest" else app.grpc_address
    return Client(url, "colours", protocol, **settings)


@pytest.fixture(params=PROTOCOLS)
def client(request, served):
    with client_of(served, request.param) as client:
        yield client


def test_embed_in_several_requests(served, client):
    client.batch_size = 16
    x = np.concatenate([squares(name, 17, 7) for name in COLOURS])
    before = sum(served.metrics.requests.counts.values())
    embedding = client.embed(x)
    np.testing.assert_allclose(embedding, mean_colours(x), atol=1e-5)
    assert embedding.dtype == np.float32
    # 51 rows are 4 requests; the first also asks for the signatures.
    assert sum(served.metrics.requests.counts.values()) - before in (4, 5)


def test_similarity(client):
    a = np.concatenate([squares("red", 2, 1), squares("blue", 1, 2)])
    b = np.concatenate([squares("red", 1, 3), squares("green", 1, 4), squares("blue", 1, 5)])
    found = client.similarity(a, b)
    expected = np.linalg.norm(mean_colours(a) - mean_colours(b), axis=1)
    np.testing.assert_allclose(found.distance, expected, atol=1e-5)
    np.testing.assert_allclose(found.similarity, -expected, atol=1e-5)
    assert found.same.tolist() == [True, False, True] == (expected <= THRESHOLD).tolist()


def test_search_and_match(client, gallery):
    queries = np.concatenate([squares("green", 1, 8), squares("blue", 1, 9), 255 - squares("blue")])
    images, ids = gallery
    distances = np.linalg.norm(mean_colours(queries)[:, None] - mean_colours(images)[None], axis=2)
    order = np.argsort(distances, axis=1)[:, :4]
    found = client.search(queries)
    np.testing.assert_array_equal(found.ids, np.array(ids)[order])
    np.testing.assert_allclose(found.distances, np.take_along_axis(distances, order, 1), atol=1e-5)
    assert found.labels[:2].tolist() == [["green"] * 4, ["blue"] * 4]
    match = client.match(queries)
    assert match.matched.tolist() == [True, True, False]
    assert match.labels.tolist() == ["green", "blue", ""]
    assert match.ids.tolist() == [ids[order[0, 0]], ids[order[1, 0]], ""]
    np.testing.assert_array_equal(match.distances, found.distances[:, 0])


def test_any_signature_lists_and_versions(served, client):
    rows = squares("red", 2).tolist()  # Python's own numbers
    np.testing.assert_array_equal(
        client.predict("serving_default", rows)["embedding"], client.embed(np.array(rows))
    )
    assert client.ready()
    assert set(client.signatures()) == set(served.model.signatures)
    with client_of(served, client.protocol, version=3) as same:
        assert same.embed(rows).shape == (2, 3)
    with client_of(served, client.protocol, version=4) as other:
        assert not other.ready()
        with pytest.raises(serving.RequestRefused, match="no model 'colours', version 4"):
            other.embed(rows)


def test_several_threads_share_a_client(client):
    x = squares("green", 1, 3)
    expected = client.embed(x)
    with futures.ThreadPoolExecutor(8) as pool:
        for embedding in pool.map(lambda _: client.embed(x), range(40)):
            np.testing.assert_allclose(embedding, expected, atol=1e-6)


@pytest.mark.parametrize(
    "x, error, said",
    [
        (
            np.zeros((2, 8, 8, 3), "uint8"),
            ValueError,
            r"\(batch, 16, 16, 3\) .*uint8.*\(2, 8, 8, 3\)",
        ),
        (np.zeros((16, 16, 3), "uint8"), ValueError, "shape"),
        (np.zeros((0, 16, 16, 3), "uint8"), ValueError, "one or more rows"),
        (np.zeros((1, 16, 16, 3)), TypeError, "dtype uint8. Received: float64"),
        (np.full((1, 16, 16, 3), 256), TypeError, "dtype uint8. Received: int64"),
        ([[1], [2, 3]], ValueError, "different shapes"),
        (["text"], TypeError, "dtype uint8"),
        ({"pixels": np.zeros((1, 16, 16, 3))}, ValueError, r"\['inputs'\]. Received: \['pixels'\]"),
    ],
)
def test_inputs_that_the_model_does_not_take(client, x, error, said):
    with pytest.raises(error, match=said):
        client.embed(x)


def test_half_a_surrogate_pair_is_refused():
    texts = Description({"inputs": Tensor((-1,), "string")}, {})
    with pytest.raises(ValueError, match="`inputs` of it .*Unicode"):
        inputs.arrays(["fine", "\ud800"], "", texts, "it")


def test_pairs_of_different_lengths(client):
    with pytest.raises(ValueError, match="as many in every input"):
        client.similarity(squares("red", 2), squares("red", 3))


def test_a_signature_that_is_not_there(served, client):
    with pytest.raises(serving.RequestRefused) as refused:
        client.predict("clasify", squares("red"))
    assert "no signature 'clasify'" in str(refused.value) and "'embed'" in str(refused.value)
    assert refused.value.signature == "clasify" and refused.value.model == "colours"


def test_a_model_that_is_not_there(served, client):
    url = served.url if client.protocol == "rest" else served.grpc_address
    with Client(url, "colors", client.protocol) as other:
        with pytest.raises(serving.RequestRefused, match="no model 'colors'") as refused:
            other.search(squares("red"))
    assert refused.value.status == {"rest": 404, "grpc": "NOT_FOUND"}[client.protocol]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_larger_than_the_server_takes(served, protocol):
    with client_of(served, protocol, batch_size=10_000) as client:
        with pytest.raises(serving.RequestRefused) as refused:
            client.embed(np.full((1400, 16, 16, 3), 7, "uint8"))
    assert refused.value.status in (413, "RESOURCE_EXHAUSTED")
    if protocol == "rest":
        assert "batch_size=10000" in str(refused.value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_server(protocol):
    with Client("127.0.0.1:9", "colours", protocol, retries=2, backoff=0.01) as client:
        assert not client.ready()
        with pytest.raises(serving.ServerUnavailable) as error:
            client.embed(squares("red"))
        assert "127.0.0.1:9" in str(error.value) and "after 3 attempts" in str(error.value)
        began = time.monotonic()
        with pytest.raises(serving.ServerUnavailable, match="not ready"):
            client.wait_until_ready(0.3)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"url": ""}, "`url` of Client"),
        ({"url": "ftp://host"}, "http:// or https://"),
        ({"url": "host:many"}, "`url` of Client"),
        ({"url": "http://me:secret@host"}, "`url` of Client"),
        ({"model": ""}, "`model` of Client"),
        ({"protocol": "http"}, r"one of \['rest', 'grpc'\]"),
        ({"version": 0}, "`version` of Client"),
        ({"timeout": 0}, "`timeout` of Client"),
        ({"retries": -1}, "`retries` of Client"),
        ({"backoff": float("nan")}, "`backoff` of Client"),
        ({"batch_size": 0}, "`batch_size` of Client"),
    ],
)
def test_wrong_arguments(settings, said):
    with pytest.raises(ValueError, match=said):
        Client(**settings)


def test_usual_ports():
    assert Client("host").server == "http://host:8501"
    assert Client("host", protocol="grpc").server == "host:8500"
    assert Client("https://host/base/").server == "https://host:443/base"
    assert Client("http://host").server == "http://host:80"


class Scripted:
    """An HTTP server that answers predictions by a script: (status, body, headers), bytes, or seconds of silence."""

    METADATA = {
        "metadata": {"signature_def": {"signature_def": {"embed": {
            "inputs": {"inputs": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}, {"size": "2"}]}}},
            "outputs": {"embedding": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}, {"size": "2"}]}}},
        }}}}
    }  # fmt: skip

    def __init__(self, *script):
        self.script, self.asked, self.headers = list(script), 0, None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(200, json.dumps(Scripted.METADATA))

            def do_POST(self):
                outer.asked, outer.headers = outer.asked + 1, self.headers
                self.rfile.read(int(self.headers["Content-Length"]))
                step = outer.script.pop(0)
                if isinstance(step, float):
                    time.sleep(step)
                elif isinstance(step, bytes):
                    self.wfile.write(step)
                else:
                    self.answer(*step)

            def answer(self, status, body, headers=()):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for header in headers:
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        self.client = Client(
            f"http://127.0.0.1:{self.server.server_port}", backoff=0.01, timeout=5, retries=2
        )
        return self

    def __exit__(self, *_):
        self.client.close()
        self.server.shutdown()
        self.server.server_close()


GOOD = (200, '{"outputs": [[1.5, 2.5]]}')
ROW = np.ones((1, 2), "float32")


@pytest.mark.parametrize(
    "trouble",
    [
        (503, '{"error": "busy"}'),
        (502, "<html>"),
        (429, "{}", [("Retry-After", "0")]),
        b"",
        b"HTTP/1.1 ",
    ],
    ids=str,
)
def test_passing_trouble_is_tried_again(trouble):
    with Scripted(trouble, trouble, GOOD) as scripted:
        assert scripted.client.embed(ROW).tolist() == [[1.5, 2.5]]
        assert scripted.asked == 3


@pytest.mark.parametrize(
    "trouble, kind",
    [
        ((400, '{"error": "wrong shape"}'), serving.RequestRefused),
        ((404, "not here"), serving.RequestRefused),
        ((301, "", [("Location", "http://127.0.0.1:9/")]), serving.RequestRefused),
        ((500, '{"error": "broken"}'), serving.ServerFailed),
        ((200, "not JSON"), serving.BadAnswer),
        ((200, "[1]"), serving.BadAnswer),
        ((200, '{"predictions": [[1, 2]]}'), serving.BadAnswer),
        ((200, '{"outputs": [["a", "b"]]}'), serving.BadAnswer),
        ((200, '{"outputs": [[1, 2], [3, 4]]}'), serving.BadAnswer),
        ((200, '{"outputs": {"labels": [1]}}'), serving.BadAnswer),
    ],
    ids=str,
)
def test_lasting_trouble_is_told_at_once(trouble, kind):
    with Scripted(trouble, GOOD) as scripted:
        with pytest.raises(kind) as error:
            scripted.client.embed(ROW)
        assert scripted.asked == 1
        assert "'embed' of the model 'model' at http://127.0.0.1" in str(error.value)


def test_trouble_that_does_not_pass():
    with Scripted(*[(503, '{"error": "still busy"}')] * 3) as scripted:
        with pytest.raises(serving.ServerUnavailable, match=r"3 attempts \[503\]: still busy"):
            scripted.client.embed(ROW)


def test_the_time_is_for_all_attempts():
    with Scripted(*[(503, "{}")] * 9) as scripted:
        scripted.client.timeout, scripted.client.backoff, scripted.client.retries = 0.3, 0.2, 8
        began = time.monotonic()
        with pytest.raises(serving.ServerUnavailable):
            scripted.client.embed(ROW)
        assert time.monotonic() - began < 2 and scripted.asked <= 3


def test_a_silent_server():
    with Scripted(1.0) as scripted:
        scripted.client.signatures()
        scripted.client.timeout = 0.2
        began = time.monotonic()
        with pytest.raises(serving.ServerUnavailable, match="in time"):
            scripted.client.embed(ROW)
        assert time.monotonic() - began < 0.9


def test_headers_are_sent_along():
    with Scripted(GOOD) as scripted:
        scripted.client.close()
        with Client(scripted.client.server, headers={"Authorization": "Bearer x"}) as client:
            client.embed(ROW)
        assert scripted.headers["Authorization"] == "Bearer x"


def test_grpc_trouble():
    grpc = pytest.importorskip("grpc")
    from tensorflow_serving.apis import prediction_service_pb2_grpc as service

    codes = []

    class Flaky(service.PredictionServiceServicer):
        def GetModelMetadata(self, request, context):
            context.abort(codes.pop(0), "on purpose")

    server = grpc.server(futures.ThreadPoolExecutor(2))
    service.add_PredictionServiceServicer_to_server(Flaky(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    code = grpc.StatusCode
    try:
        with Client(f"127.0.0.1:{port}", "colours", "grpc", backoff=0.01, retries=2) as client:
            for script, kind, left in (
                ([code.UNAVAILABLE] * 3, serving.ServerUnavailable, 0),
                ([code.UNAVAILABLE, code.INTERNAL, code.INTERNAL], serving.ServerFailed, 1),
                ([code.INVALID_ARGUMENT] * 2, serving.RequestRefused, 1),
            ):
                codes[:] = script
                with pytest.raises(kind, match="on purpose"):
                    client.embed(ROW)
                assert len(codes) == left
    finally:
        server.stop(None)


def test_without_the_extra(monkeypatch):
    from keras_metric import extras

    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"keras-metric\[serving\]"):
        Client(protocol="rest")
    with pytest.raises(ImportError, match=r"keras-metric\[serving\]"):
        Client(protocol="grpc")
