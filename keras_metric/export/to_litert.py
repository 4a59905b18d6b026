"""Encoders as LiteRT files (TensorFlow Lite), for phones and small devices."""

import contextlib
import dataclasses
import os
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_metric.export import portable

TOLERANCES = {"float32": 1e-4, "float16": 0.02, "int8_weights": 0.1, "int8": 0.25}
# Operations of a normalisation: in 8 bits, a short vector would have the length 0 and be divided by it.
IN_FLOAT = [
    "ABS",
    "DIV",
    "L2_NORMALIZATION",
    "MAXIMUM",
    "MUL",
    "REDUCE_MAX",
    "RSQRT",
    "SQRT",
    "SQUARE",
    "SUM",
]


def litert(encoder, path, precision="float16", inputs=None, tolerance=None, overwrite=False):
    """Writes an encoder as a `.tflite` file, and compares what it gives with what the encoder gives.

        print(export.litert(encoder, "encoder.tflite", precision="int8", inputs=images[:200]))

    The file has one signature, `embed`, with the inputs of the encoder, a free batch size and the output `embedding`,
    all in float32 whatever the precision inside. Preprocessing and search stay outside: LiteRT has no operations for
    image files and texts.

    Args:
        encoder: Keras model or layer, or the path of a `.keras` file; on any backend.
        path: the file, ending in `.tflite`.
        precision: "float32"; "float16" (weights of half the size); "int8_weights" (weights of a quarter of the size);
            "int8" (also arithmetic in 8 bits, but for normalisations, with ranges taken from `inputs`).
        inputs: batch of real inputs of the encoder, to compare with; needed for int8, some 100 rows or more. Made up
            otherwise.
        tolerance: largest difference allowed, in parts of the largest entry of an embedding; by default 1e-4, 0.02, 0.1
            and 0.25, in the order of the precisions above.
        overwrite: whether to replace the file.

    Returns:
        `Conversion`.

    Raises:
        VerificationError: if the embeddings differ by more; nothing is written then.
        RuntimeError: if LiteRT cannot express the encoder.
    """
    if precision not in TOLERANCES:
        raise ValueError(
            f"`precision` of litert must be one of {list(TOLERANCES)}. Received: precision={precision!r}."
        )
    tolerance = portable.checked_tolerance(tolerance, TOLERANCES[precision], "litert")
    if precision == "int8" and inputs is None:
        raise ValueError(
            "`inputs` of litert must be given with precision='int8', whose ranges come from them. Received: None."
        )
    with portable.converted(encoder, inputs, path, ".tflite", overwrite, "litert") as (
        source,
        file,
    ):
        file.write_bytes(_convert(source, precision))
        found = source.compared(file, _Runner(file), tolerance)
    return dataclasses.replace(found, path=Path(path))


def _convert(source, precision):
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(source.folder), signature_keys=["embed"]
    )
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        with _quiet():
            return _in_int8(converter, source) if precision == "int8" else converter.convert()
    except Exception as error:  # the converter raises its own kinds
        said = " ".join(str(error).split())[:1000]
        raise RuntimeError(f"litert: LiteRT cannot express the encoder: {said}") from error


def _in_int8(converter, source):
    converter.representative_dataset = lambda: _one_by_one(source)
    debugging = tf.lite.experimental
    options = debugging.QuantizationDebugOptions(denylisted_ops=IN_FLOAT)
    made = debugging.QuantizationDebugger(
        converter=converter, debug_dataset=converter.representative_dataset, debug_options=options
    )
    return made.get_nondebug_quantized_model()


def _one_by_one(source):
    for row in range(len(source.arrays[0])):
        yield {name: x[row : row + 1] for name, x in zip(source.names, source.arrays, strict=True)}


class _Runner:
    """Runs a file by LiteRT's interpreter."""

    def __init__(self, file):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # TensorFlow announces that the interpreter moves to another package
            self.interpreter = tf.lite.Interpreter(model_path=str(file))
        self.run = self.interpreter.get_signature_runner("embed")

    def __call__(self, arrays):
        return np.array(self.run(**arrays)["embedding"])


@contextlib.contextmanager
def _quiet():
    """Keeps the converter, which writes to the file descriptor itself, from talking."""
    null, kept = os.open(os.devnull, os.O_WRONLY), os.dup(2)
    os.dup2(null, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(null), os.close(kept)
