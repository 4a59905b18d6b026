"""The gRPC side: TensorFlow Serving's PredictionService and ModelService over the same model.

Needs the package tensorflow-serving-api, which holds the messages and stubs.
"""

import math
from concurrent import futures

import tensorflow as tf
from google.protobuf import json_format

from . import described
from .problems import RequestProblem, shortened

# gRPC's name of an HTTP status; INVALID_ARGUMENT for all others.
CODES = {404: "NOT_FOUND", 500: "INTERNAL", 503: "UNAVAILABLE"}
THREADS = 32


def need_packages():
    """Says what to install, before anything is opened.

    Raises:
        ImportError: if the packages of gRPC are missing.
    """
    try:
        import grpc  # noqa: F401
        import tensorflow_serving.apis  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            "gRPC needs the package 'tensorflow_serving', which is not installed. "
            "Install it with: pip install 'keras-metric[serving]'"
        ) from error


class GrpcServer:
    """Listens for gRPC.

    Args:
        app: `LocalServer`.
        host, port: where; port 0 takes a free one.

    Raises:
        RuntimeError: if the port cannot be had.
    """

    def __init__(self, app, host, port):
        import grpc
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        size = app.limits.body
        self.server = grpc.server(
            futures.ThreadPoolExecutor(THREADS, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", size),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=app.max_connections,
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(app), self.server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(app), self.server)
        self.port = self.server.add_insecure_port(f"{host}:{port}")
        self.server.start()

    def stop(self, seconds):
        """Refuses new calls and waits for those that run."""
        self.server.stop(seconds).wait()


class Service:
    """What both services share: their calls end with an answer or with a code of gRPC."""

    def __init__(self, app):
        self.app = app

    def unimplemented(self, request, context):
        """A call that this server does not offer."""
        import grpc

        context.abort(
            grpc.StatusCode.UNIMPLEMENTED, "This server predicts, and tells of its model."
        )

    def refuse(self, problem, context):
        """Ends a call with what is wrong."""
        import grpc

        name = CODES.get(problem.status, "INVALID_ARGUMENT")
        context.abort(grpc.StatusCode[name], str(problem))


class PredictionService(Service):
    """Predict and GetModelMetadata."""

    Classify = Regress = MultiInference = Service.unimplemented

    def Predict(self, request, context):
        """Runs a signature."""
        name, code = "none", "INTERNAL"
        try:
            check_model(self.app.model, request.model_spec)
            signature = self.app.model.signature(request.model_spec.signature_name)
            name = signature.name
            outputs = self.app.predict(signature, arrays_of(request.inputs, self.app.limits))
            found = answer(self.app.model, signature, outputs, request.output_filter)
            code = "OK"
            return found
        except RequestProblem as problem:
            code = CODES.get(problem.status, "INVALID_ARGUMENT")
            self.refuse(problem, context)
        finally:
            self.app.metrics.requests.add("grpc", name, code)

    def GetModelMetadata(self, request, context):
        """Tells the signatures."""
        from tensorflow_serving.apis import get_model_metadata_pb2

        try:
            check_model(self.app.model, request.model_spec)
        except RequestProblem as problem:
            self.refuse(problem, context)
        told = described.metadata(self.app.model)["metadata"]["signature_def"]
        signatures = json_format.ParseDict(told, get_model_metadata_pb2.SignatureDefMap())
        found = get_model_metadata_pb2.GetModelMetadataResponse()
        found.model_spec.name = self.app.model.name
        found.model_spec.version.value = self.app.model.version
        found.metadata["signature_def"].Pack(signatures)
        return found


class ModelService(Service):
    """GetModelStatus."""

    HandleReloadConfigRequest = Service.unimplemented

    def GetModelStatus(self, request, context):
        """Tells that the model is there."""
        from tensorflow_serving.apis import get_model_status_pb2

        try:
            check_model(self.app.model, request.model_spec)
        except RequestProblem as problem:
            self.refuse(problem, context)
        told = described.status(self.app.model)
        told["model_version_status"][0]["status"] = {}
        return json_format.ParseDict(told, get_model_status_pb2.GetModelStatusResponse())


def check_model(model, spec):
    """Refuses another name or version than those served."""
    version = spec.version.value if spec.HasField("version") else model.version
    if spec.name != model.name or version != model.version or spec.version_label:
        raise RequestProblem(
            f"There is no model {spec.name!r}, version {spec.version_label or version}, here: "
            f"this serves {model.name!r}, version {model.version}.",
            404,
        )


def arrays_of(tensors, limits):
    """Arrays by name of a map of TensorProto.

    Raises:
        RequestProblem: for a tensor whose values do not fit its shape.
    """
    arrays = {}
    for name, proto in tensors.items():
        try:
            # A message may hold one value for all: few bytes could ask for much memory.
            size = math.prod(side.size for side in proto.tensor_shape.dim)
            if size < 0 or size * max(1, tf.as_dtype(proto.dtype).size) > limits.body:
                raise ValueError(f"its shape asks for {size} elements")
            arrays[name] = tf.make_ndarray(proto)
        except (ValueError, TypeError, MemoryError) as error:
            raise RequestProblem(f"`{name}` is no tensor that fits: {shortened(error)}") from error
    return arrays


def answer(model, signature, outputs, wanted):
    """The message of some or all outputs."""
    unknown = set(wanted) - set(outputs)
    if unknown:
        raise RequestProblem(
            f"The signature {signature.name!r} has no output {sorted(unknown)}. It has {sorted(outputs)}."
        )
    from tensorflow_serving.apis import predict_pb2

    found = predict_pb2.PredictResponse()
    found.model_spec.name = model.name
    found.model_spec.version.value = model.version
    found.model_spec.signature_name = signature.name
    for name in wanted or outputs:
        found.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
    return found
