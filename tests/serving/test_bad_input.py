"""Whatever comes, the answer is an HTTP 4xx with a JSON message, and the server goes on."""

import base64
import io
import json
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_metric.serving import Limits, LocalServer, StartProblem
from tests.serving.conftest import png, squares
from tests.serving.support import ask, raw

ROW = squares("red").tolist()
PREDICT = "/v1/models/colours:predict"


@pytest.fixture(autouse=True)
def goes_on(served):
    yield
    assert ask(served, body={"instances": ROW})[0] == 200


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def claimed_png(width, height):
    """A PNG of few bytes that claims to be large, with right checksums and real compressed rows."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * min(height // 2, 1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def claimed_gif(side, frame_side=0, frames=0):
    picture = (
        b"," + struct.pack("<HHHHB", 0, 0, frame_side, frame_side, 0) + b"\x02\x02\x4c\x01\x00"
    )
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0) + picture * frames + b";"


def claimed_bmp(side):
    return b"BM" + bytes(12) + struct.pack("<IiiHH", 40, side, -side, 1, 24) + bytes(24)


def claimed_jpeg(side):
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), "uint8")).save(file, "JPEG")
    data = bytearray(file.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def claimed_webp(side, kind):
    head = {
        b"VP8X": bytes(8) + 2 * (side - 1).to_bytes(3, "little"),
        b"VP8L": bytes(4) + b"\x2f" + struct.pack("<I", (side - 1) << 14 | (side - 1)),
        b"VP8 ": bytes(10) + struct.pack("<HH", side, side),
    }[kind]
    return b"RIFF" + bytes(4) + b"WEBP" + kind + head + bytes(30)


def nested(value, depth):
    for _ in range(depth):
        value = [value]
    return value


NAN = [[[[float("nan")] * 3] * 16] * 16]
BODIES = [
    (b"", "no JSON"),
    (b"{", "no JSON"),
    (b"\xff\xfe\xfa", "no JSON"),
    (b'{"instances": [1' + b"0" * 5000 + b"]}", "no JSON"),
    (b"[" * 100_000, "nested too deeply"),
    (b"[]", "Received: a list|Received: an empty list"),
    (b"null", "Received: null"),
    ({}, "neither"),
    ({"instances": ROW, "inputs": ROW}, "both"),
    ({"instances": ROW, "k": 5}, r"Received also: \['k'\]"),
    ({"instances": ROW, "signature_name": "searching"}, "no signature 'searching'. It has"),
    ({"instances": ROW, "signature_name": ["embed"]}, "no signature"),
    ({"instances": ROW, "signature_name": {}}, "no signature"),
    ({"instances": []}, "one or more rows"),
    ({"inputs": []}, "Received: the shape"),
    ({"instances": {}}, "must be a list"),
    ({"instances": "x"}, "must be a list"),
    ({"instances": [1]}, r"shape \(None, 16, 16, 3\)"),
    ({"instances": [[1, 2], [3]]}, "different lengths"),
    ({"instances": [None]}, "numbers"),
    ({"instances": [["a", 1]]}, "numbers"),
    ({"instances": [{"x": 1}]}, "base64 of the bytes"),
    ({"inputs": {"x": 1}}, r"an object with \['inputs'\]"),
    ({"instances": nested(0, 40)}, "shape|lengths"),
    ({"instances": squares("red", 1, side=8).tolist()}, r"\(1, 8, 8, 3\)"),
    ({"instances": (squares("red") / 2).tolist()}, "float64"),
    ({"instances": NAN}, "float64"),
    ({"instances": (squares("red").astype(int) + 200).tolist()}, "from 0 to 255"),
    ({"instances": (squares("red").astype(int) - 100).tolist()}, "from 0 to 255"),
    ({"instances": [{"b64": "???"}]}, "wrong base64"),
    ({"instances": [{"b64": 3}]}, "base64 of the bytes"),
    ({"instances": [b64(b"no image")]}, "no PNG, JPEG, GIF, BMP or WebP"),
    ({"instances": [b64(b"")]}, "no PNG, JPEG, GIF, BMP or WebP"),
    ({"instances": [b64(png(squares("red")[0])[:100])]}, "damaged"),
    ({"instances": [b64(b"\x89PNG\r\n\x1a\n")]}, "damaged"),
    ({"instances": [b64(b"\xff\xd8\xff\xe0")]}, "damaged"),
    ({"instances": [b64(claimed_png(30_000, 30_000))]}, "pixels together. Received: 900,000,000"),
    ({"instances": [b64(claimed_gif(60_000))]}, "pixels together"),
    ({"instances": [b64(claimed_gif(8, 60_000, 1))]}, "pixels together"),
    ({"instances": [b64(claimed_gif(400, 400, 9))]}, "pixels together"),
    ({"instances": [b64(claimed_gif(8)[:12])]}, "damaged"),
    ({"instances": [b64(claimed_webp(9000, b"VP8X"))]}, "pixels together"),
    ({"instances": [b64(claimed_webp(9000, b"VP8L"))]}, "pixels together"),
    ({"instances": [b64(claimed_webp(9000, b"VP8 "))]}, "pixels together"),
    ({"instances": [b64(claimed_webp(90, b"VP8 "))]}, "damaged|reads no WebP"),
    ({"instances": [b64(claimed_bmp(60_000))]}, "BMP image is damaged"),
    ({"instances": [b64(b"BM")]}, "BMP image is damaged"),
    ({"instances": [b64(claimed_jpeg(60_000))]}, "pixels together"),
    ({"instances": [b64(claimed_png(999, 1000))]}, "damaged"),
    ({"instances": [b64(claimed_png(0, 10))]}, "damaged"),
    ({"instances": [b64(png(np.zeros((600, 600, 3), "uint8")))] * 3}, "1,000,000 pixels together"),
    ({"instances": [0] * 301}, "shape"),
    ({"instances": [b64(png(squares("red", side=1)[0]))] * 301}, "300 rows"),
    ({"signature_name": "similarity", "instances": ROW}, r"an object with \['a', 'b'\]"),
    ({"signature_name": "similarity", "inputs": {"a": ROW}}, r"an object with \['a', 'b'\]"),
    ({"signature_name": "similarity", "inputs": {"a": ROW, "b": ROW * 2}}, "same number of rows"),
    ({"signature_name": "similarity", "instances": [{"a": ROW[0], "b": ROW[0]}, {"a": 1}]}, "row 1"),
]  # fmt: skip


@pytest.mark.parametrize("body, said", BODIES, ids=range(len(BODIES)))
def test_bodies(served, body, said):
    status, headers, content = ask(served, body=body)
    assert 400 <= status < 500
    assert set(content) == {"error"} and len(content["error"]) < 500
    import re

    assert re.search(said, content["error"]), content["error"]


def npy(header, data=b"", magic=b"\x93NUMPY\x01\x00"):
    header = header.encode() + b"\n"
    return magic + struct.pack("<H", len(header)) + header + data


PICKLED = io.BytesIO()
np.save(PICKLED, np.array([{}], dtype=object), allow_pickle=True)
FILES = [
    (b"", "no .npy"),
    (b"\x93NUMPY", "no .npy"),
    (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 16, 16, 3)}"), "Received: 0 bytes"),
    (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (10**15,)}"), "no .npy"),
    (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 16, 16, 3)}"), "768000000000000"),
    (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, -1)}", b"x"), "says|no .npy"),
    (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"x" * 8), "numbers or texts"),
    (npy("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}", b"x" * 8), "numbers or texts"),
    (npy("__import__('os').system('true')"), "no .npy"),
    (npy("(" * 1500), "no .npy"),
    (npy("{" + " " * 5000 + "}"), "no .npy"),
    (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 16, 16, 3)}"), "one or more rows"),
    (PICKLED.getvalue(), "numbers or texts"),
]  # fmt: skip


@pytest.mark.parametrize("body, said", FILES, ids=range(len(FILES)))
def test_npy_files(served, body, said):
    import re

    status, _, content = ask(served, body=body, headers={"Content-Type": "application/x-npy"})
    assert 400 <= status < 500 and re.search(said, content["error"]), content


@pytest.mark.parametrize(
    "kind, path, status",
    [
        ("application/xml", PREDICT, 415),
        ("application/octet-stream", PREDICT, 415),
        ("image/png", f"{PREDICT}?signature_name=similarity", 415),
        ("image/svg+xml", PREDICT, 415),
        ("application/x-npy", f"{PREDICT}?signature_name=no", 400),
        ("multipart/form-data; boundary=x", PREDICT, 415),
        ("nonsense", PREDICT, 400),
    ],
)
def test_content_types(served, kind, path, status):
    answer = ask(served, path=path, body=b"<svg/>", headers={"Content-Type": kind})
    assert answer[0] == status and answer[2]["error"]


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/models/other", 404),
        ("GET", "/v1/models/colours/versions/9", 404),
        ("GET", "/v1/models/colours/versions/" + "9" * 5000, 404),
        ("GET", "/v1/models/colours/labels/stable", 404),
        ("GET", PREDICT, 405),
        ("POST", "/v1/models/colours", 405),
        ("POST", "/v1/models/colours:classify", 404),
        ("POST", "/v1/models/colours:regress", 404),
        ("POST", "/", 404),
        ("PUT", PREDICT, 405),
        ("DELETE", "/v1/models/colours", 405),
        ("OPTIONS", "/", 405),
        ("BREW", "/", 405),
        ("GET", "/" + "x" * 70_000, 414),
        ("GET", "/images/", 404),
        ("GET", "/images/red", 404),
    ],
)
def test_addresses(served, method, path, status):
    answer = ask(served, method, path)
    assert answer[0] == status and set(answer[2]) == {"error"}


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png", "..%2fsecret.png", "%2e%2e/secret.png", "red/../../secret.png", "/etc/passwd",
        "..%5csecret.png", "%00", "red/0.png%00.txt", "linked.png", "linked/secret.png", "notes.txt",
    ],
)  # fmt: skip
def test_no_file_outside_the_folder_of_pictures(exported, tmp_path, path):
    folder = tmp_path / "pictures"
    (folder / "red").mkdir(parents=True)
    (folder / "red" / "0.png").write_bytes(b"inside")
    (folder / "notes.txt").write_bytes(b"a secret")
    (tmp_path / "secret.png").write_bytes(b"a secret")
    (folder / "linked.png").symlink_to(tmp_path / "secret.png")
    (folder / "linked").symlink_to(tmp_path)
    from keras_metric.serving.server.model import Model
    from keras_metric.serving.server.page import Page
    from keras_metric.serving.server.problems import RequestProblem

    page = Page(_model_of(exported, Model), folder)
    assert page.image("red/0.png")[:2] == ("image/png", b"inside")
    from urllib import parse

    for name in (path, parse.unquote(path)):
        with pytest.raises(RequestProblem):
            page.image(name)


_MODELS = {}


def _model_of(path, kind):
    if path not in _MODELS:
        _MODELS[path] = kind(path)
    return _MODELS[path]


def test_pictures_over_http(served):
    status, headers, data = ask(served, "GET", "/images/red%2F0.png")
    assert status == 200 and headers["Content-Type"] == "image/png" and data[1:4] == b"PNG"
    assert headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/images/..%2f..%2fetc%2fpasswd", "/images/../../etc/passwd", "/../../etc/passwd"):
        assert ask(served, "GET", path)[0] == 404


HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n".encode()


@pytest.mark.parametrize(
    "data, status",
    [
        (b"garbage\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (HEAD + b"\r\n", 411),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1_0\r\n\r\n", 400),
        (HEAD + b"Content-Length: many\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello", 400),
        (HEAD + b"Content-Length: 99999999999999999999999999\r\n\r\n", 413),
        (HEAD + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n", 413),
        (HEAD + b"Content-Length: 100\r\n\r\n{}", 400),
        (HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (HEAD + b"".join(b"X%d: y\r\n" % i for i in range(200)) + b"\r\n", 431),
    ],
)  # fmt: skip
def test_broken_http(served, data, status):
    answer = raw(served, data, half_close=True)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status, answer
    assert b"application/json" in head and json.loads(body)["error"]
    assert b"connection: close" in head.lower()


def test_expect_continue(served):
    body = json.dumps({"instances": ROW}).encode()
    head = HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n" % len(
        body
    )
    answer = raw(served, head + body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")


def test_a_client_that_leaves(served):
    for data in (b"", HEAD, HEAD + b"Content-Length: 10\r\n\r\n"):
        raw(served, data, half_close=True)


def test_several_requests_on_one_connection(served):
    body = json.dumps({"instances": ROW}).encode()
    one = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    bad = HEAD + b"Content-Length: 2\r\n\r\n{}"
    answer = raw(served, one + bad + one, half_close=True)
    assert answer.count(b"HTTP/1.1 200") == 2 and answer.count(b"HTTP/1.1 400") == 1


def test_a_body_too_large_is_answered_while_it_is_sent(served):
    status, _, content = ask(served, body=b"x" * (4 * 2**20))
    assert status == 413 and "1048576 bytes" in content["error"]


def test_too_many_connections(exported):
    import socket

    with LocalServer(exported, port=0, max_connections=2) as app:
        address = ("127.0.0.1", app.web.server_port)
        held = [socket.create_connection(address) for _ in range(2)]
        try:
            for one in held:  # answered, so surely counted
                one.sendall(b"GET /health HTTP/1.1\r\n\r\n")
                assert b"200" in one.recv(1000)
            status, headers, content = ask(app, "GET", "/health")
            assert status == 503 and headers["Retry-After"] and "too many" in content["error"]
        finally:
            for one in held:
                one.close()
        for _ in range(100):
            if ask(app, "GET", "/health")[0] == 200:
                break
        else:
            raise AssertionError("the connections were not given back")


def test_memory_for_bodies_is_bounded(served):
    served.gate.hold(served.gate.most_bytes)
    try:
        status, headers, content = ask(served, body={"instances": ROW})
        assert status == 503 and headers["Retry-After"] == "1" and "busy" in content["error"]
    finally:
        served.gate.release(served.gate.most_bytes)


def test_an_error_of_the_server_itself(served, monkeypatch, capfd):
    def broken(*_):
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr(served.batcher, "run", broken)
    status, _, content = ask(served, body={"instances": ROW})
    assert status == 500 and "secret" not in content["error"]
    assert "a secret detail" in capfd.readouterr().err
    monkeypatch.undo()


def test_grpc(served):
    grpc = pytest.importorskip("grpc")
    import tensorflow as tf
    from tensorflow_serving.apis import (
        classification_pb2,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    def request(x=None, name="colours", signature="embed", version=None, outputs=(), proto=None):
        one = predict_pb2.PredictRequest(output_filter=outputs)
        one.model_spec.name, one.model_spec.signature_name = name, signature
        if version is not None:
            one.model_spec.version.value = version
        if x is not None or proto is not None:
            one.inputs["inputs"].CopyFrom(proto or tf.make_tensor_proto(x))
        return one

    good = squares("red")
    huge = tf.make_tensor_proto(np.uint8(0))
    huge.tensor_shape.dim.add(size=10**12)
    cut = tf.make_tensor_proto(good)
    cut.tensor_content = cut.tensor_content[:-5]
    code = grpc.StatusCode
    channel = grpc.insecure_channel(served.grpc_address)
    try:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for wrong, status, said in (
            (request(good, name="other"), code.NOT_FOUND, "no model 'other'"),
            (request(good, version=9), code.NOT_FOUND, "version 9"),
            (request(good, signature="no"), code.INVALID_ARGUMENT, "no signature 'no'"),
            (request(), code.INVALID_ARGUMENT, "takes the inputs"),
            (request(good[:, :4]), code.INVALID_ARGUMENT, "shape"),
            (request(good.astype("float32")), code.INVALID_ARGUMENT, "float32"),
            (request(good[:0]), code.INVALID_ARGUMENT, "rows"),
            (request(proto=huge), code.INVALID_ARGUMENT, "asks for 1000000000000"),
            (request(proto=cut), code.INVALID_ARGUMENT, "no tensor that fits"),
            (request(good, outputs=["labels"]), code.INVALID_ARGUMENT, "no output"),
            (request(np.zeros((1400, 16, 16, 3), "uint8")), code.RESOURCE_EXHAUSTED, "larger than max"),
        ):  # fmt: skip
            with pytest.raises(grpc.RpcError) as error:
                stub.Predict(wrong, timeout=10)
            assert error.value.code() == status and said in error.value.details()
        with pytest.raises(grpc.RpcError) as error:
            stub.Classify(classification_pb2.ClassificationRequest(), timeout=10)
        assert error.value.code() == code.UNIMPLEMENTED
        from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

        models = model_service_pb2_grpc.ModelServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            models.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(), timeout=10)
        assert error.value.code() == code.UNIMPLEMENTED
        answer = stub.Predict(request(good, signature="", outputs=["embedding"]), timeout=10)
        assert answer.model_spec.signature_name == "serving_default"
        assert answer.model_spec.version.value == 3
    finally:
        channel.close()


def test_starts_that_fail(exported, served, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "saved_model.pb").write_bytes(b"nothing")
    for settings, said in (
        ({"path": tmp_path / "none"}, "does not exist"),
        ({"path": tmp_path / "empty"}, "holds no SavedModel"),
        ({"path": tmp_path / "broken"}, "cannot be loaded"),
        ({"path": exported, "images": tmp_path / "none"}, "pictures"),
        ({"path": exported, "port": served.web.server_port}, "Cannot listen"),
        ({"path": exported, "port": 0, "grpc_port": served.grpc.port}, "Cannot listen"),
    ):
        with pytest.raises(StartProblem, match=said):
            LocalServer(**{"port": 0, **settings})


def test_grpc_without_its_packages_says_what_to_install(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    monkeypatch.delitem(sys.modules, "tensorflow_serving.apis", raising=False)
    with pytest.raises(ImportError, match=r"keras-metric\[serving\]"):
        LocalServer(exported, port=0, grpc_port=0)


def test_the_highest_version_is_served(exported, tmp_path):
    import shutil

    from keras_metric.serving.server.model import version_folder

    for version in ("2", "10", "11", "latest"):
        (tmp_path / version).mkdir()
    shutil.copy(exported / "3" / "saved_model.pb", tmp_path / "2")
    shutil.copy(exported / "3" / "saved_model.pb", tmp_path / "10")
    assert version_folder(tmp_path)[:2] == (tmp_path / "10", 10)
    assert version_folder(tmp_path / "2")[1:] == (2, tmp_path.name)
    assert Limits().rows > 1
