"""`keras-metric match`: who each example is, or nobody."""

import numpy as np

from keras_metric.cli import options, search

NAME = "match"
SUMMARY = "say which class each example is of, or none, by a threshold"
EXAMPLE = (
    "keras-metric match saved_models/digits/gallery saved_models/digits.keras "
    "saved_models/digits/test.npz --threshold 0.4 --limit 5"
)
DESCRIPTION = """
Embeds the examples and prints, for each, the class of its nearest neighbour in an index that `keras-metric index`
wrote, or "no match" if none is within the threshold. `keras-metric evaluate` prints a threshold that suits a model.
"""


def add_arguments(parser):
    """Options of the command."""
    search.add_index_arguments(parser)
    parser.add_argument(
        "--threshold", type=options.finite_float, required=True, metavar="D",
        help="largest distance that matches",
    )  # fmt: skip
    parser.add_argument(
        "--by", choices=("nearest", "vote"), default="nearest",
        help="the nearest decides, or most of the K nearest within the threshold (default: nearest)",
    )  # fmt: skip
    parser.add_argument(
        "-k", "--k", type=options.positive_int, default=10, help="that vote (default: 10)"
    )


def run(arguments):
    """Matches and prints one line for each example, and how many matched."""
    gallery, examples, embeddings = search.read(arguments)
    found = gallery.match(embeddings, arguments.threshold, by=arguments.by, k=arguments.k)
    labels = np.full(len(found.ids), "") if found.labels is None else found.labels
    for row, name in enumerate(search.names(examples)):
        decision = f"{labels[row]}  {found.ids[row]}" if found.matched[row] else "no match"
        print(f"{name}:  distance {found.distances[row]:.4f}  {decision}")
    print(f"{int(found.matched.sum())} of {len(found.ids)} matched.")
