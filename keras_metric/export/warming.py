"""The file of requests that TensorFlow Serving runs before it serves a version.

A TFRecord of `PredictionLog` messages. They are put together by hand from TensorFlow's own `TensorProto`, since
the package with the others, tensorflow-serving-api, is an extra. Field numbers: `prediction_log.proto`, `predict.proto`
and `model.proto` of TensorFlow Serving.
"""

import tensorflow as tf

FILE = "assets.extra/tf_serving_warmup_requests"


def write(folder, functions, arrays, model_name):
    """Writes one request for each signature, and runs it first.

    Args:
        folder: version folder.
        functions: `tf.function`s by signature name, with flat named inputs.
        arrays: a raw batch, flat; `similarity` compares it with itself.
        model_name: name under which the model is served.
    """
    file = folder / FILE
    file.parent.mkdir()
    with tf.io.TFRecordWriter(str(file)) as records:
        for name, function in functions.items():
            takes = [spec.name for spec in function.input_signature]
            batch = arrays * (len(takes) // len(arrays))
            function(*[tf.constant(x) for x in batch])
            records.write(request(model_name, name, dict(zip(takes, batch, strict=True))))


def request(model_name, signature_name, inputs):
    """A serialised `PredictionLog` that holds one `PredictRequest`."""
    spec = _field(1, model_name.encode()) + _field(3, signature_name.encode())
    predict = _field(1, spec)
    for name, array in inputs.items():
        tensor = tf.make_tensor_proto(array).SerializeToString()
        predict += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, predict))


def _field(number, content):
    """A length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    encoded = b""
    while value > 127:
        encoded += bytes([value & 127 | 128])
        value >>= 7
    return encoded + bytes([value])
