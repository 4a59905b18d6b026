"""`keras-metric embed`: the embeddings of examples, as an `.npz` file."""

from pathlib import Path

import numpy as np

from keras_metric.cli import judging, models, options
from keras_metric.cli.evaluate import read_for
from keras_metric.cli.records import save_arrays

NAME = "embed"
SUMMARY = "write the embeddings of examples"
EXAMPLE = (
    "keras-metric embed saved_models/digits.keras saved_models/digits/test.npz "
    "--output saved_models/digits/test_embeddings.npz"
)
DESCRIPTION = """
Writes an .npz file with the arrays embeddings (N, D), labels (N,), the class of each, and origins (N,), the file or row
that each came from.
"""


def add_arguments(parser):
    """Options of the command."""
    parser.add_argument(
        "model", metavar="MODEL", help="a .keras file or the folder of a training run"
    )
    options.add_data_arguments(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="the .npz file to write"
    )


def run(arguments):
    """Embeds and writes."""
    options.check_data_arguments(arguments.data, arguments.dataset)
    encoder = models.load_encoder(arguments.model)
    examples = read_for(encoder, arguments)
    embeddings = judging.embed(encoder, examples.x)
    save_arrays(
        arguments.output.with_suffix(".npz"),
        embeddings=embeddings,
        labels=np.array(examples.class_names)[examples.y],
        origins=np.array(examples.origins),
    )
    print(
        f"Wrote {len(embeddings)} embeddings of {embeddings.shape[1]} numbers to {arguments.output}."
    )
