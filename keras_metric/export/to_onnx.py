"""Encoders as ONNX files, for ONNX Runtime, OpenVINO, Triton and the like."""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_metric import checks, extras
from keras_metric.export import portable


def onnx(encoder, path, inputs=None, tolerance=1e-4, opset=18, overwrite=False):
    """Writes an encoder as an `.onnx` file, and compares what ONNX Runtime gives with what the encoder gives.

        print(export.onnx(encoder, "encoder.onnx", inputs=images[:32]))

    The file has the inputs of the encoder, a free batch size, and the output `embedding`. Preprocessing and search stay
    outside.

    Args:
        encoder: Keras model or layer, or the path of a `.keras` file; on any backend.
        path: the file, ending in `.onnx`.
        inputs: batch of real inputs of the encoder, to compare with; made up if None.
        tolerance: largest difference allowed, in parts of the largest entry of an embedding.
        opset: version of ONNX's operations.
        overwrite: whether to replace the file.

    Returns:
        `Conversion`.

    Raises:
        VerificationError: if the embeddings differ by more; nothing is written then.
        RuntimeError: if ONNX cannot express the encoder.
        ImportError: if the extra `onnx` (tf2onnx and onnxruntime) is not installed.
    """
    extras.require("tf2onnx", extra="onnx")
    runtime = extras.require("onnxruntime", extra="onnx")
    tolerance = portable.checked_tolerance(tolerance, 1e-4, "onnx")
    opset = checks.whole(opset, "opset", "onnx")
    with portable.converted(encoder, inputs, path, ".onnx", overwrite, "onnx") as (source, file):
        _convert(source, opset, file)
        try:
            session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        except Exception as error:  # operations without a counterpart show only here
            raise _cannot(error) from error
        found = source.compared(
            file, lambda x: np.array(session.run(["embedding"], x)[0]), tolerance
        )
    return dataclasses.replace(found, path=Path(path))


def _convert(source, opset, file):
    tf2onnx = extras.require("tf2onnx.convert", extra="onnx")
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    loaded, embed = source.signature()
    takes = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, spec in embed.structured_input_signature[1].items()
    ]
    names = [spec.name for spec in takes]

    @tf.function(input_signature=takes)
    def function(*x):
        return embed(**dict(zip(names, x, strict=True)))

    try:
        tf2onnx.from_function(
            function,
            takes,
            opset=opset,
            output_path=str(file),
            custom_op_handlers={"Erfc": (_erfc, [])},
        )
        _bind(file, function.get_concrete_function(), set(names))
    except Exception as error:  # tf2onnx raises many kinds
        raise _cannot(error) from error
    del loaded


def _bind(file, concrete, names):
    """Puts constants that the function holds, such as the mean of a `Normalization`, into the file.

    tf2onnx freezes variables, but leaves captured constants as inputs that nobody would know to give.
    """
    model_of = extras.require("onnx", extra="onnx")
    model = model_of.load(str(file))
    held = concrete.captured_inputs
    inner = concrete.inputs[len(concrete.inputs) - len(held) :]
    values = {one.name: value for one, value in zip(inner, held, strict=True)}
    used = {name for node in model.graph.node for name in node.input}
    for one in [one for one in model.graph.input if one.name not in names]:
        if one.name in used:
            constant = model_of.numpy_helper.from_array(values[one.name].numpy(), one.name)
            model.graph.initializer.append(constant)
        model.graph.input.remove(one)
    model_of.save(model, str(file))


def _erfc(graph, node, name, arguments):
    """Keras' exact `gelu` on TensorFlow is made of erfc, which ONNX lacks: erfc(x) = 1 − erf(x)."""
    result = node.output[0]
    node.type, node.domain = "Erf", ""
    one = graph.make_const(f"{name}_one", np.ones((), "float32"))
    graph.insert_new_node_on_output("Sub", result, inputs=[one.output[0], result])


def _cannot(error):
    return RuntimeError(
        f"onnx: ONNX cannot express the encoder: {' '.join(str(error).split())[:1000]}"
    )
