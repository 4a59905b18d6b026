"""`keras-metric verify`: the proof that an exported model gives what its encoder gives."""

from pathlib import Path

from keras_metric import export
from keras_metric.cli import models, options
from keras_metric.cli.export import batch_of
from keras_metric.cli.problems import Failure
from keras_metric.export import card, versions

NAME = "verify"
SUMMARY = "prove that an exported model gives what its encoder gives"
EXAMPLE = (
    "keras-metric verify saved_models/digits saved_models/digits.keras saved_models/digits/test.npz"
)
DESCRIPTION = """
Runs every signature of a SavedModel that `keras-metric export` wrote, on batches of 1 to 33 rows, in a process in which
Keras cannot be imported, and compares embeddings with those of the encoder, decisions with the threshold, neighbours
with a search through everything, and files with their hashes. Where there is a C++ compiler, does the same from C++,
by the call with which TensorFlow Serving loads models.
"""


def add_arguments(parser):
    """Options of the command."""
    parser.add_argument(
        "path", metavar="PATH", type=Path, help="folder of the versions, or one version"
    )
    parser.add_argument("model", metavar="MODEL", help="the model that was exported")
    parser.add_argument(
        "data", nargs="?", metavar="DATA",
        help="examples: an .npz file or a folder of images; made up if left out",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", type=options.positive_float, default=1e-5, metavar="D",
        help="largest difference allowed (default: 1e-5)",
    )  # fmt: skip
    parser.add_argument("--no-cpp", action="store_true", help="leave the run from C++ out")


def run(arguments):
    """Verifies and prints what was done and found."""
    encoder = models.load_encoder(arguments.model)
    version = versions.version_folder(arguments.path)
    takes = card.read(version)["signatures"]["embed"]["inputs"]
    encoded = any(one["dtype"] == "string" for one in takes.values())
    if arguments.data:
        inputs = batch_of(arguments.data, models.image_size_of(encoder), encoded, encoder)
    elif encoded:
        raise Failure(f"{version} takes files or texts, which cannot be made up: give DATA")
    else:
        inputs = export.made_up_inputs(version)
    run_cpp = not arguments.no_cpp and export.cpp_compiler() is not None
    print(export.verify(version, encoder, inputs, tolerance=arguments.tolerance, run_cpp=run_cpp))
    if not run_cpp and not arguments.no_cpp:
        print("Not run from C++: there is no compiler here, or TensorFlow has no C++ library.")
