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
    parser.add_argument(
        "--storage", choices=("float32", "int8", "binary"), default="float32",
        help="int8 and binary search in a quarter, or a 32nd, of the memory (default: float32)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace PATH if it is there")


def run(arguments):
    """Embeds, indexes and writes."""
    options.check_data_arguments(arguments.data, arguments.dataset)
    if arguments.output.exists() and not arguments.overwrite:
        raise Failure(f"{arguments.output} exists; give --overwrite to replace it")
    encoder = models.load_encoder(arguments.model)
    examples = read_for(encoder, arguments)
    embeddings = judging.embed(encoder, examples.x)
    gallery = build(examples, embeddings, arguments)
    gallery.save(arguments.output)
    print(f"Wrote an index of {len(gallery)} examples to {arguments.output}.")
    if arguments.storage != "float32":
        some = np.linspace(0, len(embeddings) - 1, min(len(embeddings), 500)).astype(int)
        print(
            f"{arguments.storage}: finds {gallery.recall(embeddings[some]):.4f} of the true 10 nearest."
        )


def build(examples, embeddings, arguments):
    """An index of embeddings, with the examples' origins as ids and their classes as labels."""
    from keras_metric.index import Index

    gallery = Index(arguments.distance, arguments.backend, arguments.storage)
    gallery.add(
        embeddings,
        ids=np.array(examples.origins),
        labels=np.array(examples.class_names)[examples.y],
    )
    return gallery
