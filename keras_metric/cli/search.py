"""`keras-metric search`: the nearest neighbours of examples in a gallery."""

from pathlib import Path

import numpy as np

from keras_metric.cli import judging, models, options
from keras_metric.cli.evaluate import read_for
from keras_metric.cli.problems import Failure

NAME = "search"
SUMMARY = "find the nearest neighbours of examples in an index"
EXAMPLE = (
    "keras-metric search saved_models/digits/gallery saved_models/digits.keras "
    "saved_models/digits/test.npz --k 5 --limit 3"
)
DESCRIPTION = """
Embeds the examples and prints, for each, its nearest neighbours in an index that `keras-metric index` wrote.
"""


def add_arguments(parser):
    """Options of the command."""
    add_index_arguments(parser)
    parser.add_argument(
        "-k", "--k", type=options.positive_int, default=5, help="neighbours of each (default: 5)"
    )


def add_index_arguments(parser):
    """Adds which index to look in, for which examples."""
    parser.add_argument("index", metavar="INDEX", type=Path, help="what `keras-metric index` wrote")
    parser.add_argument("model", metavar="MODEL", help="the model that the index was made with")
    options.add_data_arguments(parser, what="what to look for")
    parser.add_argument(
        "--limit", type=options.positive_int, metavar="N", help="only the first N examples"
    )


def run(arguments):
    """Searches and prints one line for each neighbour."""
    gallery, examples, embeddings = read(arguments)
    found = gallery.search(embeddings, k=arguments.k)
    labels = np.full(found.ids.shape, "") if found.labels is None else found.labels
    for row, name in enumerate(names(examples)):
        print(f"{name}:")
        neighbours = zip(found.distances[row], labels[row], found.ids[row], strict=True)
        for rank, (distance, label, origin) in enumerate(neighbours, 1):
            print(f"  {rank:2}  distance {distance:.4f}  {label}  {origin}")


def read(arguments):
    """The index, the examples to look for, and their embeddings."""
    from keras_metric.index import Index

    options.check_data_arguments(arguments.data, arguments.dataset)
    if not arguments.index.exists():
        raise Failure(f"{arguments.index}: no such index; `keras-metric index` makes one")
    gallery = Index.load(arguments.index)
    encoder = models.load_encoder(arguments.model)
    examples = read_for(encoder, arguments)
    examples = examples.rows(np.arange(len(examples.x))[: arguments.limit])
    return gallery, examples, judging.embed(encoder, examples.x)


def names(examples):
    """Where each example came from, and its class."""
    return [
        f"{origin} ({examples.class_names[examples.y[row]]})"
        for row, origin in enumerate(examples.origins)
    ]
