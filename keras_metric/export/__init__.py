"""Exported models: a SavedModel that embeds, compares, searches and decides without Keras, and its proof."""

from keras_metric.export.cpp import InCpp, cpp_compiler, run_in_cpp
from keras_metric.export.encoded_images import EncodedImages
from keras_metric.export.made_up import made_up_inputs
from keras_metric.export.process import WithoutKeras, as_text, run_without_keras
from keras_metric.export.verification import Verification, VerificationError, verify
from keras_metric.export.writing import saved_model

__all__ = [
    "EncodedImages",
    "InCpp",
    "Verification",
    "VerificationError",
    "WithoutKeras",
    "as_text",
    "cpp_compiler",
    "made_up_inputs",
    "run_in_cpp",
    "run_without_keras",
    "saved_model",
    "verify",
]
