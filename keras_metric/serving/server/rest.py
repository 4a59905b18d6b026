"""The request and answer bodies of TensorFlow Serving's REST interface, and binary ones beside them.

JSON: `{"signature_name": …, "instances": rows}` or `{"signature_name": …, "inputs": columns}`, bytes as `{"b64": …}`;
answers are `{"predictions": rows}` or `{"outputs": columns}`, errors `{"error": message}`. Beyond that format, an
encoded image may stand where a model takes pixels.
"""

import base64
import binascii
import io
import json
import math

import numpy as np
import tensorflow as tf

from . import images
from .problems import RequestProblem, shortened

NPY, NPZ, JSON = "application/x-npy", "application/x-npz", "application/json"
NPY_HEADER_LENGTH = 2000


def parsed_json(body):
    """The object of a JSON body.

    Raises:
        RequestProblem: if it is none.
    """
    try:
        content = json.loads(body)
    except RecursionError as error:
        raise RequestProblem("The JSON is nested too deeply.") from error
    except ValueError as error:  # also what is no UTF-8
        raise RequestProblem(f"The body is no JSON: {shortened(error)}.") from error
    if not isinstance(content, dict):
        raise RequestProblem(
            f'The JSON must be an object with "instances" or "inputs". Received: {_kind(content)}.'
        )
    unknown = set(content) - {"signature_name", "instances", "inputs"}
    if unknown:
        raise RequestProblem(
            'The JSON has "signature_name" and either "instances" or "inputs". '
            f"Received also: {_names(unknown)}."
        )
    if ("instances" in content) == ("inputs" in content):
        raise RequestProblem(
            'The JSON must have either "instances" (rows) or "inputs" (columns). '
            f"Received: {'both' if 'inputs' in content else 'neither'}."
        )
    return content


def arrays_of_json(content, signature, pixel_range):
    """Arrays by input name of a parsed body.

    Raises:
        RequestProblem: for what does not fit the signature.
    """
    if "instances" in content:
        columns = _columns_of_rows(content["instances"], signature)
    else:
        columns = _columns(content["inputs"], signature)
    reader = _Reader(signature, pixel_range)
    return {name: reader.array(signature.inputs[name], value) for name, value in columns.items()}


def _columns_of_rows(rows, signature):
    if not isinstance(rows, list) or not rows:
        raise RequestProblem(
            f'"instances" must be a list of one or more rows. Received: {_kind(rows)}.'
        )
    names = set(signature.inputs)
    if len(names) == 1 and not (isinstance(rows[0], dict) and set(rows[0]) == names):
        return {next(iter(names)): rows}
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != names:
            came = _names(row) if isinstance(row, dict) else _kind(row)
            raise RequestProblem(
                f"Every row of {signature.name!r} must be an object with {sorted(names)}. "
                f"Received in row {number}: {came}."
            )
    return {name: [row[name] for row in rows] for name in signature.inputs}


def _columns(inputs, signature):
    names = set(signature.inputs)
    if isinstance(inputs, dict) and set(inputs) == names:
        return inputs
    if len(names) == 1 and not (isinstance(inputs, dict) and set(inputs) != {"b64"}):
        return {next(iter(names)): inputs}
    came = _names(inputs) if isinstance(inputs, dict) else _kind(inputs)
    raise RequestProblem(
        f'"inputs" of {signature.name!r} must be an object with {sorted(names)}. Received: {came}.'
    )


class _Reader:
    """Turns JSON values into arrays, and decodes images only while they are not too many."""

    def __init__(self, signature, pixel_range):
        self.signature = signature
        self.limits = signature.limits
        self.pixel_range = pixel_range

    def array(self, spec, value):
        if spec.dtype == tf.string:
            return self._texts(spec, value)
        if isinstance(value, dict):
            value = [value]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return image_batch([_bytes(one, spec) for one in value], spec, self)
        try:
            array = np.asarray(value)
        except ValueError as error:  # rows of different lengths
            raise RequestProblem(
                f"`{spec.name}` must be rows of one shape, {spec.shape}. Received: rows of different lengths."
            ) from error
        if array.dtype.kind not in "biuf":
            raise RequestProblem(
                f"`{spec.name}` must be numbers of the shape {spec.shape}. "
                "Received: something else among them."
            )
        return array

    def _texts(self, spec, value):
        flat, shape = [], []

        def walk(one, depth):
            if isinstance(one, list):
                if len(shape) == depth:
                    shape.append(len(one))
                if shape[depth] != len(one) or depth >= 8:
                    raise RequestProblem(f"`{spec.name}` must be rows of one shape, {spec.shape}.")
                for inner in one:
                    walk(inner, depth + 1)
            else:
                if depth != len(shape):
                    raise RequestProblem(f"`{spec.name}` must be rows of one shape, {spec.shape}.")
                flat.append(_bytes(one, spec))

        walk(value, 0)
        if math.prod(shape) != len(flat):
            raise RequestProblem(f"`{spec.name}` must be rows of one shape, {spec.shape}.")
        array = np.empty(len(flat), object)
        array[:] = flat
        return array.reshape(shape)


def _bytes(value, spec):
    if isinstance(value, str) and spec.dtype == tf.string:
        try:
            return value.encode()
        except UnicodeEncodeError as error:  # half a surrogate pair
            raise RequestProblem(f"`{spec.name}` must be Unicode texts.") from error
    if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestProblem(f"`{spec.name}` has wrong base64: {error}.") from error
    wanted = "texts or " if spec.dtype == tf.string else ""
    raise RequestProblem(
        f'`{spec.name}` must be {wanted}{{"b64": base64 of the bytes}}. Received: {_kind(value)}.'
    )


def image_batch(encoded, spec, settings):
    """Encoded images as one array for an input that takes pixels; `settings` has `limits` and `pixel_range`."""
    if not images.takes_images(spec):
        raise RequestProblem(
            f"`{spec.name}` takes numbers of the shape {spec.shape}, no images or bytes.", 415
        )
    if len(encoded) > settings.limits.rows:
        raise RequestProblem(f"A request may have {settings.limits.rows} rows.", 413)
    images.check_pixels(encoded, settings.limits.pixels)
    pixels = [images.decoded(data, spec, settings.pixel_range) for data in encoded]
    if len({one.shape for one in pixels}) > 1:
        raise RequestProblem(
            f"`{spec.name}` takes images of any size, but those of one request must have the same."
        )
    return np.stack(pixels)


def arrays_of_bytes(body, kind, signature, settings):
    """Arrays by input name of a body that is no JSON: `.npy`, one encoded image, or one row of raw bytes.

    Args:
        body: the bytes.
        kind: content type, lower case, without parameters.
        signature: `Signature`, which must have one input.
        settings: has `limits` and `pixel_range`.

    Raises:
        RequestProblem: for what does not fit the signature.
    """
    if len(signature.inputs) != 1:
        raise RequestProblem(
            f"The signature {signature.name!r} takes the inputs {sorted(signature.inputs)}: send JSON, since a binary "
            "body holds one.",
            status=415,
        )
    name, spec = next(iter(signature.inputs.items()))
    if kind == NPY:
        return {name: npy(body)}
    if kind.startswith("image/") or kind == "application/octet-stream":
        if spec.dtype != tf.string:
            return {name: image_batch([body], spec, settings)}
        if not body:
            raise RequestProblem("The body is empty.")
        array = np.empty(1, object)
        array[0] = body
        return {name: array}
    raise RequestProblem(
        f"The content type must be {JSON}, {NPY}, image/… or application/octet-stream. Received: {kind!r}.",
        status=415,
    )


def npy(body):
    """The array of a `.npy` file, without pickle and without believing its header.

    Raises:
        RequestProblem: if it is none, holds objects, or has another length than its header says.
    """
    file = io.BytesIO(body)
    read = np.lib.format
    try:
        version = read.read_magic(file)
        header = read.read_array_header_1_0 if version == (1, 0) else read.read_array_header_2_0
        shape, fortran, dtype = header(file, max_header_size=NPY_HEADER_LENGTH)
    except Exception as error:  # the header is Python source, whose parser raises many kinds
        raise RequestProblem(f"The body is no .npy file: {shortened(error)}") from error
    if dtype.kind not in "biufSU":
        raise RequestProblem(f"The .npy file must hold numbers or texts. Received: {dtype}.")
    given, wanted = len(body) - file.tell(), math.prod(shape) * dtype.itemsize
    if given != wanted or min(shape, default=0) < 0:
        raise RequestProblem(
            f"The .npy file says {shape} of {dtype}, which are {wanted} bytes. Received: {given} bytes."
        )
    array = np.frombuffer(body, dtype, offset=file.tell())
    array = array.reshape(shape, order="F" if fortran else "C")
    if dtype.kind == "U":
        return np.array([x.encode() for x in array.ravel()], object).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def answer_json(outputs, by_row):
    """The bytes of an answer, in rows or in columns as the question was.

    One output stands without its name, as TensorFlow Serving has it.
    """
    columns = {name: _plain(name, x) for name, x in outputs.items()}
    if len(columns) == 1:
        content = next(iter(columns.values()))
    elif by_row:
        content = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    else:
        content = columns
    text = json.dumps(
        {"predictions" if by_row else "outputs": content},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    return text.encode()


def answer_npz(outputs):
    """The bytes of an `.npz` file of all outputs, texts as str."""
    file = io.BytesIO()
    arrays = {name: x.astype(str) if x.dtype == object else x for name, x in _decoded(outputs)}
    np.savez(file, **arrays)
    return file.getvalue()


def _decoded(outputs):
    for name, x in outputs.items():
        if x.dtype == object:
            texts = [one.decode(errors="replace") for one in x.ravel()]
            x = np.array(texts, dtype=str).reshape(x.shape)
        yield name, x


def _plain(name, x):
    if x.dtype != object:
        if x.dtype.kind not in "biuf":  # bfloat16
            x = x.astype("float32")
        return x.tolist()
    flat = np.empty(x.size, object)
    flat[:] = [_text(name, one) for one in x.ravel()]
    return flat.reshape(x.shape).tolist()


def _text(name, data):
    if not name.endswith("_bytes"):
        try:
            return data.decode()
        except UnicodeDecodeError:  # no text
            pass
    return {"b64": base64.b64encode(data).decode()}


def _kind(value):
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    if value is None:
        return "null"
    if isinstance(value, list) and not value:
        return "an empty list"
    return names.get(type(value), "a number")


def _names(names):
    return shortened(sorted(str(name) for name in names))
