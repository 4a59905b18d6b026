"""`keras-metric index`: a gallery to search in."""

from pathlib import Path

import numpy as np

from keras_metric.cli import judging, models, options
from keras_metric.cli.evaluate import read_for
from keras_metric.cli.problems import Failure

NAME = "index"
SUMMARY = "embed a gallery and write an index of it"
EXAMPLE = (
    "keras-metric index saved_models/digits.keras saved_models/digits/train.npz "
    "--output saved_models/digits/gallery --overwrite"
)
DESCRIPTION = """
Embeds the examples and writes an index that `keras-metric search` looks through. Ids are the files or rows that the
examples came from, labels their classes.
"""


def add_arguments(parser):
    """Options of the command."""
    parser.add_argument(
        "model", metavar="MODEL", help="a .keras file or the folder of a training run"
    )
    options.add_data_arguments(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="PATH", help="the index to write"
    )
    parser.add_argument(
        "--distance", default="cosine", metavar="NAME", help="to search by (default: cosine)"
    )
    parser.add_argument(
        "--backend", choices=("exact", "faiss", "usearch"), default="exact", help="(default: exact)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace PATH if it is there")


def run(arguments):
    """Embeds, indexes and writes."""
    options.check_data_arguments(arguments.data, arguments.dataset)
    if arguments.output.exists() and not arguments.overwrite:
        raise Failure(f"{arguments.output} exists; give --overwrite to replace it")
    encoder = models.load_encoder(arguments.model)
    examples = read_for(encoder, arguments)
    gallery = build(encoder, examples, arguments.distance, arguments.backend)
    gallery.save(arguments.output)
    print(f"Wrote an index of {len(gallery)} examples to {arguments.output}.")


def build(encoder, examples, distance="cosine", backend="exact"):
    """An index of the examples' embeddings, with their origins as ids and classes as labels."""
    from keras_metric.index import Index

    gallery = Index(distance=distance, backend=backend)
    gallery.add(
        judging.embed(encoder, examples.x),
        ids=np.array(examples.origins),
        labels=np.array(examples.class_names)[examples.y],
    )
    return gallery
