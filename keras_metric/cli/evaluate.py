"""`keras-metric evaluate`: how well a trained encoder tells classes apart."""

from pathlib import Path

from keras_metric import evaluation, extras
from keras_metric.cli import judging, models, options, sources
from keras_metric.cli.problems import UsageError
from keras_metric.cli.records import versions, write_json
from keras_metric.cli.tables import table

NAME = "evaluate"
SUMMARY = "judge a trained encoder on examples"
EXAMPLE = (
    "keras-metric evaluate saved_models/digits.keras saved_models/digits/test.npz "
    "--report saved_models/digits/report.html"
)
DESCRIPTION = """
Embeds the examples and prints how often the nearest neighbour is of the same class (hit@1), how well all of a class
are ranked (MAP@R), and how well a threshold on distance tells same from different pairs, beside the raw inputs.
With --report it also writes a page to look at: the figures with intervals, curves, the worst and the best queries with
their neighbours, classes, confusions and a map.
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
    parser.add_argument(
        "--report",
        type=Path,
        metavar="PATH.html",
        help="also write a page to look at there, and its numbers beside it as PATH.json",
    )
    parser.add_argument(
        "--sample-rate",
        type=options.positive_float,
        metavar="HZ",
        help="the examples are sounds, of so many samples a second: the page shows and plays them",
    )


def run(arguments):
    """Judges the encoder and prints its figures beside those of the raw inputs."""
    options.check_data_arguments(arguments.data, arguments.dataset)
    _check_report(arguments)
    encoder = models.load_encoder(arguments.model)
    examples = read_for(encoder, arguments)
    embeddings = judging.embed(encoder, examples.x)
    figures = judging.judge(embeddings, examples.y)
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
    if arguments.report:
        evaluation.report(
            None,
            (embeddings, examples.y),
            arguments.report,
            class_names=examples.class_names,
            items=examples.x,
            sample_rate=arguments.sample_rate,
            origins=examples.origins,
            title=f"{Path(arguments.model).name} on {Path(arguments.data or arguments.dataset).name}",
        )
        print(f"Look at {arguments.report}")


def _check_report(arguments):
    """Refuses what would fail only after all the work."""
    if not arguments.report:
        return
    if arguments.report.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"--report must be a path that ends in .html. Received: {arguments.report}"
        )
    if arguments.output == arguments.report.with_suffix(".json"):
        raise UsageError(f"--report writes {arguments.output} as well; give --output another path")
    extras.require("matplotlib", extra="plots")
    extras.require("PIL", extra="plots")


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
