"""The model as TensorFlow Serving describes it: status and metadata in the JSON form of its messages."""


def status(model):
    """What `GET /v1/models/NAME` tells."""
    one = {
        "version": str(model.version),
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return {"model_version_status": [one]}


def metadata(model):
    """What `GET /v1/models/NAME/metadata` tells."""
    signatures = {name: _signature(one) for name, one in model.signatures.items()}
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(model.version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _signature(signature):
    return {
        "inputs": {name: _tensor(spec) for name, spec in signature.inputs.items()},
        "outputs": {name: _tensor(spec) for name, spec in signature.outputs.items()},
        "method_name": "tensorflow/serving/predict",
    }


def _tensor(spec):
    known = spec.shape.rank is not None
    sides = (
        [{"size": str(-1 if side is None else side), "name": ""} for side in spec.shape]
        if known
        else []
    )
    return {
        "dtype": "DT_" + _NAMES.get(spec.dtype.name, "INVALID"),
        "tensor_shape": {"dim": sides, "unknown_rank": not known},
        "name": f"{spec.name}:0",
    }


_NAMES = {
    "float16": "HALF", "bfloat16": "BFLOAT16", "float32": "FLOAT", "float64": "DOUBLE", "bool": "BOOL",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "string": "STRING",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
}  # fmt: skip
