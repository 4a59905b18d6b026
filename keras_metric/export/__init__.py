"""Exported models: a SavedModel that embeds, compares, searches and decides without Keras, and its proof."""

from keras_metric.export.cpp import InCpp, cpp_compiler, run_in_cpp
from keras_metric.export.encoded_images import EncodedImages
from keras_metric.export.made_up import made_up_files, made_up_inputs
from keras_metric.export.portable import Conversion
from keras_metric.export.process import WithoutKeras, as_text, run_without_keras
from keras_metric.export.to_litert import litert
from keras_metric.export.to_onnx import onnx
from keras_metric.export.verification import Verification, VerificationError, verify
from keras_metric.export.writing import saved_model

__all__ = [
    "Conversion",
    "EncodedImages",
    "InCpp",
    "Verification",
    "VerificationError",
    "WithoutKeras",
    "as_text",
    "cpp_compiler",
    "litert",
    "made_up_files",
    "made_up_inputs",
    "onnx",
    "run_in_cpp",
    "run_without_keras",
    "saved_model",
    "verify",
]
