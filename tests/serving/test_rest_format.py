"""The bodies that TensorFlow Serving documents, and the binary ones beside them."""

import base64
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from PIL import Image

from keras_metric.serving import Limits, LocalServer
from keras_metric.serving.server import images
from tests.serving.conftest import mean_colours, png, squares
from tests.serving.support import ask

PREDICT = "/v1/models/colours:predict"


def npy(array, **settings):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **settings)
    return file.getvalue()


def test_rows(served):
    x = squares("red", 2)
    status, _, content = ask(served, body={"instances": x.tolist()})
    assert status == 200 and set(content) == {"predictions"}  # one output: without its name
    np.testing.assert_allclose(content["predictions"], mean_colours(x), atol=1e-5)
    named = {"signature_name": "embed", "instances": [{"inputs": one.tolist()} for one in x]}
    assert ask(served, body=named)[2] == content
    pairs = {
        "signature_name": "similarity",
        "instances": [{"a": one.tolist(), "b": one.tolist()} for one in x],
    }
    rows = ask(served, body=pairs)[2]["predictions"]
    assert rows == [{"distance": 0.0, "similarity": 0.0, "same": True}] * 2


def test_columns(served):
    x = squares("red", 2)
    for inputs in (x.tolist(), {"inputs": x.tolist()}):
        status, _, content = ask(served, body={"inputs": inputs})
        assert status == 200 and set(content) == {"outputs"}
        np.testing.assert_allclose(content["outputs"], mean_colours(x), atol=1e-5)
    body = {"signature_name": "match", "inputs": x.tolist()}
    outputs = ask(served, body=body)[2]["outputs"]
    assert outputs["labels"] == ["red", "red"] and outputs["matched"] == [True, True]


def test_versions_in_the_address(served):
    body = {"instances": squares("red").tolist()}
    assert ask(served, path="/v1/models/colours/versions/3:predict", body=body)[0] == 200
    assert ask(served, path="/v1/models/colours/versions/2:predict", body=body)[0] == 404


def test_status_and_metadata_are_those_of_the_protos(served):
    apis = pytest.importorskip("tensorflow_serving.apis.get_model_status_pb2")
    from tensorflow_serving.apis import get_model_metadata_pb2

    for path in ("/v1/models/colours", "/v1/models/colours/versions/3"):
        content = ask(served, "GET", path)[2]
        assert content["model_version_status"][0].pop("status")["error_code"] == "OK"
        found = json_format.ParseDict(content, apis.GetModelStatusResponse())
        assert found.model_version_status[0].version == 3
        assert found.model_version_status[0].state == apis.ModelVersionStatus.AVAILABLE
    content = ask(served, "GET", "/v1/models/colours/metadata")[2]
    told = content["metadata"]["signature_def"]
    signatures = json_format.ParseDict(told, get_model_metadata_pb2.SignatureDefMap())
    search = signatures.signature_def["search"]
    assert search.inputs["inputs"].dtype == tf.uint8.as_datatype_enum
    assert [side.size for side in search.inputs["inputs"].tensor_shape.dim] == [-1, 16, 16, 3]
    assert search.outputs["ids"].dtype == tf.string.as_datatype_enum
    assert [side.size for side in search.outputs["distances"].tensor_shape.dim] == [-1, 4]


@pytest.mark.parametrize("side", [16, 64])
def test_an_encoded_image(served, side):
    image = squares("blue", 1, 4, side)[0]
    path = f"{PREDICT}?signature_name=search"
    status, _, content = ask(
        served, path=path, body=png(image), headers={"Content-Type": "image/png"}
    )
    assert status == 200
    assert content["predictions"][0]["labels"] == ["blue"] * 4
    encoded = {"b64": base64.b64encode(png(image)).decode()}
    for key, answer in (("instances", "predictions"), ("inputs", "outputs")):
        content = ask(served, body={key: [encoded]})[2]
        np.testing.assert_allclose(content[answer], mean_colours(image[None]), atol=0.01)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WebP"])
def test_every_kind_of_image(served, kind):
    image, file = squares("blue", 1, 4, 24)[0], io.BytesIO()
    image[:] = image.mean((0, 1))
    more = (
        {"save_all": True, "append_images": [Image.new("RGB", (24, 24))]} if kind == "GIF" else {}
    )
    Image.fromarray(image).save(file, kind, **more)
    headers = {"Content-Type": f"image/{kind.lower()}"}
    status, _, content = ask(served, body=file.getvalue(), headers=headers)
    if kind == "WebP" and status == 415:
        assert content["error"].endswith("reads no WebP images.")
        pytest.skip("this TensorFlow reads no WebP images")
    assert status == 200, content
    np.testing.assert_allclose(content["predictions"], mean_colours(image[None]), atol=0.02)


@pytest.mark.parametrize(
    "kind, mode, settings, pictures",
    [
        ("PNG", "L", {}, 1),
        ("JPEG", "RGB", {"progressive": True}, 1),
        ("GIF", "RGB", {}, 1),
        ("GIF", "RGB", {"save_all": True}, 3),
        ("WebP", "RGB", {}, 1),
        ("WebP", "RGBA", {}, 1),
        ("WebP", "RGB", {"lossless": True}, 1),
    ],
)
def test_pixels_are_counted_before_decoding(kind, mode, settings, pictures):
    file = io.BytesIO()
    others = [Image.new(mode, (37, 21), colour) for colour in ("red", "blue")]
    if "save_all" in settings:
        settings = {**settings, "append_images": others}
    Image.new(mode, (37, 21)).save(file, kind, **settings)
    assert images.kind_of(file.getvalue()) == kind
    assert images.pixels_of(file.getvalue()) == 37 * 21 * pictures
    assert images.pixels_of(b"just a text") == 0


def test_npy_and_npz(served):
    x = squares("green", 3)
    for data in (npy(x), npy(np.asfortranarray(x)), npy(x, version=(2, 0))):
        status, headers, content = ask(
            served,
            path=f"{PREDICT}?signature_name=search",
            body=data,
            headers={"Content-Type": "application/x-npy", "Accept": "application/x-npz"},
        )
        assert status == 200 and headers["Content-Type"] == "application/x-npz"
        found = np.load(io.BytesIO(content), allow_pickle=False)
        assert found["labels"].tolist() == [["green"] * 4] * 3
        assert found["distances"].dtype == np.float32 and found["distances"].shape == (3, 4)
    swapped = x.astype(">i2")
    content = ask(served, body=npy(swapped), headers={"Content-Type": "application/x-npy"})[2]
    np.testing.assert_allclose(content["predictions"], mean_colours(x), atol=1e-5)


def test_health_metrics_and_head(served):
    assert ask(served, "GET", "/health")[::2] == (200, {"status": "ok"})
    ask(served, body={"instances": squares("red").tolist()})
    status, headers, text = ask(served, "GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = text.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    name = 'keras_metric_requests_total{protocol="rest",signature="serving_default",code="200"}'
    assert int(values[name]) >= 1
    count = int(values["keras_metric_request_seconds_count"])
    assert int(values['keras_metric_request_seconds_bucket{le="+Inf"}']) == count >= 1
    assert float(values["keras_metric_batch_rows_sum"]) >= 1
    assert ask(served, "GET", "/monitoring/prometheus/metrics")[0] == 200
    status, headers, body = ask(served, "HEAD", "/v1/models/colours")
    assert status == 200 and body == b"" and int(headers["Content-Length"]) > 0


class Bytes(tf.Module):
    """A SavedModel from elsewhere: texts and encoded images in, bytes and odd values out, nothing of this library."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="data")])
    def describe(self, data):
        lengths = tf.strings.length(data)
        return {
            "length": lengths,
            "echo_bytes": data,
            "log": tf.math.log(tf.cast(lengths, tf.float32)),
        }

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="data")])
    def height(self, data):
        def one(x):
            return tf.shape(tf.io.decode_png(x))[0]

        return {"height": tf.map_fn(one, data, fn_output_signature=tf.int32)}

    @tf.function(
        input_signature=[
            tf.TensorSpec((), tf.float32, name="x"),
            tf.TensorSpec((2,), tf.bool, name="y"),
        ]
    )
    def scalar(self, x, y):
        return {"z": tf.where(y, x, -x)}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "bytes" / "1"
    module = Bytes()
    signatures = {
        "serving_default": module.describe,
        "height": module.height,
        "scalar": module.scalar,
    }
    tf.saved_model.save(module, str(path), signatures=signatures)
    with LocalServer(path, port=0, limits=Limits(pixels=2000)) as app:
        yield app


BYTES = "/v1/models/bytes:predict"


def test_texts_and_bytes(elsewhere):
    data = b"\x00\xff\n"
    encoded = base64.b64encode(data).decode()
    body = {"instances": ["é", {"b64": encoded}, ""]}
    rows = ask(elsewhere, path=BYTES, body=body)[2]["predictions"]
    assert [row["length"] for row in rows] == [2, 3, 0]
    # An output whose name ends in _bytes comes as base64, whatever it holds.
    assert rows[1]["echo_bytes"] == {"b64": encoded}
    assert base64.b64decode(rows[0]["echo_bytes"]["b64"]) == "é".encode()
    assert rows[2]["log"] == float("-inf")  # as TensorFlow Serving writes it, beyond strict JSON
    binary = {"Content-Type": "application/octet-stream"}
    content = ask(elsewhere, path=BYTES, body=data, headers=binary)[2]
    assert content["predictions"][0]["length"] == 3


def test_texts_that_begin_like_images(elsewhere):
    texts = ["BMW and others make cars of many millions of parts", "BM", "GIF", "RIFF"]
    status, _, content = ask(elsewhere, path=BYTES, body={"instances": texts})
    assert status == 200
    assert [row["length"] for row in content["predictions"]] == [len(text) for text in texts]


@pytest.mark.parametrize(
    "shape, dtype, wanted",
    [
        ((None, None, None, 3), "uint8", True),
        ((None, 28, 28, 1), "float32", True),
        ((None, 28, 28), "float32", True),
        ((None, None, 28), "uint8", True),
        ((None, 28, 2), "float32", False),
        ((None, 8, 8, 5), "float32", False),
        ((None, 128), "float32", False),
        ((None,), "string", False),
        (None, "float32", False),
    ],
)
def test_what_looks_like_images(shape, dtype, wanted):
    assert images.takes_images(tf.TensorSpec(shape, dtype)) is wanted


def test_a_signature_without_batches(elsewhere):
    body = {"signature_name": "scalar", "inputs": {"x": 2.5, "y": [True, False]}}
    assert ask(elsewhere, path=BYTES, body=body)[2] == {"outputs": [2.5, -2.5]}


def test_images_that_the_model_decodes(elsewhere):
    good, large = png(squares("red", 1, side=16)[0]), png(squares("red", 1, side=64)[0])
    path = f"{BYTES}?signature_name=height"
    kind = {"Content-Type": "image/png"}
    assert ask(elsewhere, path=path, body=good, headers=kind)[2] == {"predictions": [16]}
    status, _, content = ask(elsewhere, path=path, body=large, headers=kind)
    assert status == 413 and "2,000 pixels" in content["error"]
    status, _, content = ask(elsewhere, path=path, body=good[:60], headers=kind)
    assert status == 400 and "refuses" in content["error"]
    encoded = [{"b64": base64.b64encode(good).decode()}] * 8
    body = {"signature_name": "height", "instances": encoded}
    assert ask(elsewhere, path=BYTES, body=body)[0] == 413  # 8 × 256 pixels together
    body["instances"] = encoded[:7]
    assert ask(elsewhere, path=BYTES, body=json.dumps(body))[2] == {"predictions": [16] * 7}
