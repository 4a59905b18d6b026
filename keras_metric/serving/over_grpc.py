"""Talks to TensorFlow Serving's gRPC interface, through the messages and stubs of tensorflow-serving-api."""

from keras_metric import extras
from keras_metric.serving.transport import Refusal, descriptions, text_array

TRANSIENT = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED"}
FAULTS = {
    "FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED", "UNIMPLEMENTED",
}  # fmt: skip


class GrpcTransport:
    """Keeps a channel to one server.

    Args:
        address: `host:port`.
        secure: whether to use TLS with the roots of the system.
        model: name of the model.
        version: number, or None for the newest.
        headers: dict of metadata to send along, or None.
    """

    def __init__(self, address, secure, model, version, headers):
        self.grpc = extras.require("grpc", extra="serving")
        apis = {
            name: extras.require(f"tensorflow_serving.apis.{name}", extra="serving")
            for name in (
                "get_model_metadata_pb2",
                "get_model_status_pb2",
                "model_service_pb2_grpc",
                "predict_pb2",
                "prediction_service_pb2_grpc",
            )
        }
        self.messages = apis
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        if secure:
            credentials = self.grpc.ssl_channel_credentials()
            self.channel = self.grpc.secure_channel(address, credentials, options)
        else:
            self.channel = self.grpc.insecure_channel(address, options)
        predictions = apis["prediction_service_pb2_grpc"]
        self.predictions = predictions.PredictionServiceStub(self.channel)
        self.models = apis["model_service_pb2_grpc"].ModelServiceStub(self.channel)
        self.model, self.version = model, version
        self.metadata = [(name.lower(), value) for name, value in (headers or {}).items()]

    def describe(self, seconds):
        """Dict of `Description` by signature."""
        messages = self.messages["get_model_metadata_pb2"]
        request = messages.GetModelMetadataRequest(metadata_field=["signature_def"])
        answer = self._send(self.predictions.GetModelMetadata, request, seconds)
        signatures = messages.SignatureDefMap()
        if not answer.metadata["signature_def"].Unpack(signatures):
            raise Refusal("the metadata lack the signatures")
        from google.protobuf import json_format

        told = json_format.MessageToDict(signatures, preserving_proto_field_name=True)
        return descriptions(told.get("signature_def", {}))

    def ready(self, seconds):
        """Whether a version of the model is available."""
        request = self.messages["get_model_status_pb2"].GetModelStatusRequest()
        answer = self._send(self.models.GetModelStatus, request, seconds)
        states = self.messages["get_model_status_pb2"].ModelVersionStatus
        return any(one.state == states.AVAILABLE for one in answer.model_version_status)

    def predict(self, signature, inputs, description, seconds):
        """Dict of arrays."""
        import tensorflow as tf

        request = self.messages["predict_pb2"].PredictRequest()
        request.model_spec.signature_name = signature
        for name, x in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(x))
        answer = self._send(self.predictions.Predict, request, seconds)
        if set(answer.outputs) != set(description.outputs):
            raise Refusal(
                f"the answer has {sorted(answer.outputs)} instead of {sorted(description.outputs)}"
            )
        arrays = {name: tf.make_ndarray(proto) for name, proto in answer.outputs.items()}
        return {name: text_array(x) if x.dtype == object else x for name, x in arrays.items()}

    def close(self):
        """Ends the channel."""
        self.channel.close()

    def _send(self, call, request, seconds):
        request.model_spec.name = self.model
        if self.version is not None:
            request.model_spec.version.value = self.version
        try:
            return call(request, timeout=seconds, metadata=self.metadata)
        except self.grpc.RpcError as error:
            code = error.code().name
            raise Refusal(
                error.details() or code, code, transient=code in TRANSIENT, fault=code in FAULTS
            ) from error
