"""The configuration of TensorFlow Serving, read by its own messages. No server of it runs here."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

FOLDER = Path(__file__).parents[2] / "serving"


def compose():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load((FOLDER / "docker-compose.yml").read_text())["services"]["serving"]


def flags(service):
    return dict(word.removeprefix("--").split("=", 1) for word in service["command"])


def message(name, fields):
    """A message type of TensorFlow Serving that no Python package holds, from its field numbers."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{name}.proto", package="keras_metric_test", syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )  # fmt: skip
    one = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields.items(), 1):
        added = one.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL)
        if kind is bool:
            added.type = kinds.TYPE_BOOL
        elif kind is str:
            added.type = kinds.TYPE_STRING
        else:
            added.type, added.type_name = kinds.TYPE_MESSAGE, kind
    pool = descriptor_pool.DescriptorPool()
    from google.protobuf import wrappers_pb2

    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"keras_metric_test.{name}"))


def test_models():
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    text = (FOLDER / "model_config.pbtxt").read_text()
    models = text_format.Parse(text, config.ModelServerConfig()).model_config_list.config
    assert [one.name for one in models] == ["model"]
    assert models[0].model_platform == "tensorflow"
    assert models[0].model_version_policy.latest.num_versions == 2
    assert any(one.split(":")[-2] == models[0].base_path for one in compose()["volumes"])


def test_batching():
    number = ".google.protobuf.Int64Value"
    fields = {
        "max_batch_size": number, "batch_timeout_micros": number, "max_enqueued_batches": number,
        "num_batch_threads": number, "thread_pool_name": ".google.protobuf.StringValue",
    }  # fmt: skip
    kind = message("BatchingParameters", fields)
    found = text_format.Parse((FOLDER / "batching_parameters.pbtxt").read_text(), kind())
    assert found.max_batch_size.value == 64 and found.num_batch_threads.value >= 1
    assert found.batch_timeout_micros.value == 1000 and found.max_enqueued_batches.value == 100
    with pytest.raises(text_format.ParseError):
        text_format.Parse("max_batch { value: 1 }", kind())


def test_monitoring():
    inner = message("PrometheusConfig", {"enable": bool, "path": str})
    text = (FOLDER / "monitoring.pbtxt").read_text()
    body = re.search(r"prometheus_config \{(.*?)\n\}", text, re.DOTALL)[1]
    found = text_format.Parse(body, inner())
    assert found.enable and found.path == "/monitoring/prometheus/metrics"


def test_compose():
    service = compose()
    given = flags(service)
    assert given["port"] == "8500" and given["rest_api_port"] == "8501"
    assert given["enable_batching"] == given["enable_model_warmup"] == "true"
    assert set(service["ports"]) == {"127.0.0.1:8500:8500", "127.0.0.1:8501:8501"}
    mounted = {}
    for volume in service["volumes"]:
        source, target, mode = volume.rsplit(":", 2)
        assert mode == "ro"
        mounted[target] = source
    for flag in ("model_config_file", "batching_parameters_file", "monitoring_config_file"):
        source = mounted[given[flag]]
        assert (FOLDER / source).is_file(), flag
    assert service["image"].startswith("tensorflow/serving:")


def test_the_health_check_sees_a_model(served):
    """The command of the health check, run against the local server instead of the image's."""
    if shutil.which("bash") is None:
        pytest.skip("no bash on this machine")
    kind, *words = compose()["healthcheck"]["test"]
    assert kind == "CMD"
    for path, healthy in (("models/colours", True), ("models/other", False)):
        script = words[-1].replace("8501", str(served.web.server_port))
        script = script.replace("models/model", path)
        done = subprocess.run([*words[:-1], script], capture_output=True, timeout=20)
        assert (done.returncode == 0) is healthy, done.stderr
