"""What the two ways to a server share."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What a signature says of an input or output: `shape` with −1 for free sides, None if even their number is free;
    `dtype` by NumPy's name, or "string"."""

    shape: tuple | None
    dtype: str


@dataclasses.dataclass(frozen=True)
class Description:
    """`inputs` and `outputs` of a signature, each a dict of `Tensor` by name."""

    inputs: dict
    outputs: dict


class Refusal(Exception):
    """An answer that is no good one: `status` as the protocol has it, and whether it is `transient` or the caller's
    own `fault`; `after` seconds if the server says when to come again."""

    def __init__(self, message, status=None, transient=False, fault=False, after=0.0):
        super().__init__(message)
        self.status = status
        self.transient = transient
        self.fault = fault
        self.after = after


_DTYPES = {
    "DT_HALF": "float16", "DT_BFLOAT16": "bfloat16", "DT_FLOAT": "float32", "DT_DOUBLE": "float64",
    "DT_BOOL": "bool", "DT_INT8": "int8", "DT_INT16": "int16", "DT_INT32": "int32", "DT_INT64": "int64",
    "DT_UINT8": "uint8", "DT_UINT16": "uint16", "DT_UINT32": "uint32", "DT_UINT64": "uint64",
    "DT_STRING": "string",
}  # fmt: skip


def descriptions(signature_defs):
    """Dict of `Description` of the JSON form of signature definitions."""
    return {
        name: Description(_tensors(one.get("inputs", {})), _tensors(one.get("outputs", {})))
        for name, one in signature_defs.items()
    }


def _tensors(infos):
    return {name: _tensor(info) for name, info in infos.items()}


def _tensor(info):
    shape = info.get("tensor_shape", {})
    if shape.get("unknown_rank"):
        sides = None
    else:
        # A side of size 0 is left out of the JSON form.
        sides = tuple(int(side.get("size", 0)) for side in shape.get("dim", []))
    return Tensor(sides, _DTYPES.get(info.get("dtype"), info.get("dtype", "unknown")))


def text_array(values):
    """An array of str, as the results of searches have it, of nested texts or bytes."""
    array = np.asarray(values, dtype=object)
    flat = [x.decode(errors="replace") if isinstance(x, bytes) else str(x) for x in array.ravel()]
    return np.array(flat, dtype=str).reshape(array.shape)
