"""`keras-metric export`: a SavedModel that embeds and compares without Keras."""

from pathlib import Path

from keras_metric import export
from keras_metric.cli import models, options

NAME = "export"
SUMMARY = "write a SavedModel for serving, and prove it"
EXAMPLE = "keras-metric export saved_models/digits.keras saved_models/digits --threshold 0.4"
DESCRIPTION = """
Writes PATH/<version>/ with the signatures embed and similarity, and proves in a separate process, in which Keras
cannot be imported, that it gives the same embeddings as the encoder.
"""


def add_arguments(parser):
    """Options of the command."""
    parser.add_argument(
        "model", metavar="MODEL", help="a .keras file or the folder of a training run"
    )
    parser.add_argument("path", metavar="PATH", type=Path, help="folder of the versions")
    parser.add_argument(
        "--threshold", type=options.finite_float, metavar="D",
        help="distance up to which two examples count as the same",
    )  # fmt: skip
    parser.add_argument(
        "--distance", default="cosine", metavar="NAME", help="of similarity (default: cosine)"
    )
    parser.add_argument(
        "--version", type=options.positive_int, metavar="N", help="(default: the next one)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace version N if it is there")


def run(arguments):
    """Exports and verifies."""
    encoder = models.load_encoder(arguments.model)
    version = export.saved_model(
        encoder,
        arguments.path,
        threshold=arguments.threshold,
        distance=arguments.distance,
        version=arguments.version,
        overwrite=arguments.overwrite,
    )
    export.verify(version, encoder, export.made_up_inputs(version))
    print(f"Wrote {version}: gives the same embeddings in a process without Keras.")
    print(f"Serve it with TensorFlow Serving: --model_base_path={arguments.path.resolve()}")
