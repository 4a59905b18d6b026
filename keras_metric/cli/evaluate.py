"""`keras-metric evaluate`: how well a trained encoder tells classes apart."""

from pathlib import Path

from keras_metric.cli import judging, models, options, sources
from keras_metric.cli.records import versions, write_json
from keras_metric.cli.tables import table

NAME = "evaluate"
SUMMARY = "judge a trained encoder on examples"
EXAMPLE = "keras-metric evaluate saved_models/digits.keras saved_models/digits/test.npz"
DESCRIPTION = """
Embeds the examples and prints how often the nearest neighbour is of the same class (hit@1), how well all of a class
are ranked (MAP@R), and how well a threshold on distance tells same from different pairs, beside the raw inputs.
"""


def add_arguments(parser):
    """Options of the command."""
    parser.add_argument(
        "model", metavar="MODEL", help="a .keras file or the folder of a training run"
    )
    options.add_data_arguments(parser)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="also write the figures there, as JSON"
    )


def run(arguments):
    """Judges the encoder and prints its figures beside those of the raw inputs."""
    options.check_data_arguments(arguments.data, arguments.dataset)
    encoder = models.load_encoder(arguments.model)
    examples = read_for(encoder, arguments)
    figures = judging.judge(judging.embed(encoder, examples.x), examples.y)
    raw = judging.judge(judging.flat(examples.x), examples.y)
    print(f"{len(examples.x)} examples of {len(examples.class_names)} classes:")
    print(
        table(
            judging.COLUMNS, {"this encoder": judging.row(figures), "raw inputs": judging.row(raw)}
        )
    )
    if arguments.output:
        told = {"model": arguments.model, "data": arguments.data or arguments.dataset}
        write_json(
            arguments.output,
            {**told, "encoder": figures, "raw_inputs": raw, "versions": versions()},
        )


def read_for(encoder, arguments):
    """The examples that the arguments name, in the shape that an encoder takes."""
    size = arguments.image_size and (arguments.image_size, arguments.image_size)
    examples = sources.read(
        arguments.data,
        arguments.dataset,
        arguments.split,
        arguments.data_dir,
        size or models.image_size_of(encoder),
    )
    where = arguments.data or arguments.dataset
    return examples._replace(x=models.fitted(examples.x, encoder, where))
