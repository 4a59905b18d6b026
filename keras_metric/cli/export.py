"""`keras-metric export`: a model for serving, phones or other engines."""

from pathlib import Path

import numpy as np

from keras_metric import export
from keras_metric.cli import models, options, sources
from keras_metric.cli.problems import Failure, UsageError, one_line

NAME = "export"
SUMMARY = "write a SavedModel (or LiteRT, ONNX), and prove it"
EXAMPLE = "keras-metric export saved_models/digits.keras saved_models/digits --threshold 0.4"
DESCRIPTION = """
Writes PATH/<version>/ with the signatures embed and similarity and, with --index, search and match, and proves in a
separate process, in which Keras cannot be imported, that it gives the same as the encoder. With --format litert or
onnx, writes the file PATH, compares it with the encoder and tells its size and the largest difference.
"""
ONLY_SAVED_MODEL = ("threshold", "distance", "index", "k", "version", "encoded_images")
ROWS = 500


def add_arguments(parser):
    """Options of the command."""
    parser.add_argument(
        "model", metavar="MODEL", help="a .keras file or the folder of a training run"
    )
    parser.add_argument(
        "path", metavar="PATH", type=Path, help="folder of the versions; a file for litert and onnx"
    )
    parser.add_argument(
        "--threshold", type=options.finite_float, metavar="D",
        help="distance up to which two examples count as the same",
    )  # fmt: skip
    parser.add_argument(
        "--distance", metavar="NAME",
        help="of similarity, where there is no index (default: cosine)",
    )  # fmt: skip
    parser.add_argument(
        "--index", type=Path, metavar="INDEX", help="what `keras-metric index` wrote, to search in"
    )
    parser.add_argument(
        "-k",
        "--k",
        type=options.positive_int,
        help="neighbours of search (default: 10)",
    )
    parser.add_argument(
        "--encoded-images",
        action="store_true",
        default=None,
        help="take JPEG and PNG files instead of pixels, for an encoder of pixels from 0 to 255",
    )
    parser.add_argument(
        "--version", type=options.positive_int, metavar="N", help="(default: the next one)"
    )
    parser.add_argument(
        "--format", choices=("saved_model", "litert", "onnx"), default="saved_model",
        help="(default: saved_model)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=("float32", "float16", "int8_weights", "int8"), default="float16",
        help="of litert (default: float16)",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="DATA",
        help="examples to compare with, and to take ranges from for --precision int8; made up otherwise",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")


def run(arguments):
    """Exports and verifies."""
    try:
        if arguments.format == "saved_model":
            write_saved_model(arguments)
        else:
            write_file(arguments)
    except FileExistsError as error:  # names the arguments of Python
        text = one_line(error).replace("`version` out", "--version out")
        raise Failure(text.replace("overwrite=True", "--overwrite")) from error


def write_file(arguments):
    """Writes LiteRT or ONNX and tells how it compares."""
    given = [name for name in ONLY_SAVED_MODEL if getattr(arguments, name) is not None]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} goes with --format saved_model only")
    if arguments.format == "litert" and arguments.precision == "int8" and not arguments.data:
        raise UsageError("--precision int8 needs --data, from which it takes its ranges")
    encoder = models.load_encoder(arguments.model)
    batch = None
    if arguments.data:
        batch = batch_of(arguments.data, models.image_size_of(encoder), False, encoder, ROWS)
    if arguments.format == "litert":
        told = export.litert(
            encoder, arguments.path, arguments.precision, batch, overwrite=arguments.overwrite
        )
    else:
        told = export.onnx(encoder, arguments.path, batch, overwrite=arguments.overwrite)
    print(f"Wrote {told}.")


def write_saved_model(arguments):
    """Writes a version and proves it."""
    if arguments.index and not arguments.index.exists():
        raise Failure(f"{arguments.index}: no such index; `keras-metric index` makes one")
    encoder = models.load_encoder(arguments.model)
    size, preprocessing = models.image_size_of(encoder), None
    if arguments.encoded_images:
        if size is None or len(encoder.input_shape) != 4:
            raise Failure(f"{arguments.model} takes no images: {encoder.input_shape}")
        preprocessing = export.EncodedImages(*size, channels=encoder.input_shape[3])
    version = export.saved_model(
        encoder,
        arguments.path,
        preprocessing=preprocessing,
        index=arguments.index,
        threshold=arguments.threshold,
        distance=arguments.distance or "cosine",
        k=arguments.k or 10,
        version=arguments.version,
        overwrite=arguments.overwrite,
    )
    if arguments.data:
        batch = batch_of(arguments.data, size, arguments.encoded_images, encoder)
    elif arguments.encoded_images:
        batch = export.made_up_files(*encoder.input_shape[1:])
    else:
        batch = export.made_up_inputs(version)
    export.verify(version, encoder, batch, preprocessing=preprocessing)
    print(f"Wrote {version}: gives the same embeddings in a process without Keras.")
    print(f"Serve it with TensorFlow Serving: --model_base_path={arguments.path.resolve()}")


def batch_of(data, image_size, encoded, encoder, rows=33):
    """The first rows of examples, in the shape that an encoder takes; with `encoded`, the files of a folder."""
    if not encoded:
        examples = sources.read(data, image_size=image_size)
        return models.fitted(examples.x[:rows], encoder, data)
    files = sorted(
        file for file in Path(data).rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    if not files:
        raise Failure(f"{data}: is no folder with JPEG or PNG files, which this model takes")
    return np.array([file.read_bytes() for file in files[:rows]], object)
