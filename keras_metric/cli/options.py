"""Options that several commands share, and types that refuse bad values with a rule."""

import argparse
import math

from keras_metric.cli.problems import UsageError


def _argument_type(convert, accept, rule):
    def read(text):
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not accept(value):
            raise argparse.ArgumentTypeError(f"must be {rule}. Received: {text!r}")
        return value

    return read


positive_int = _argument_type(int, lambda value: value >= 1, "a whole number >= 1")
whole_number = _argument_type(int, lambda value: value >= 0, "a whole number >= 0")
positive_float = _argument_type(
    float, lambda value: value > 0 and math.isfinite(value), "a number > 0"
)
fraction = _argument_type(float, lambda value: 0 <= value < 1, "a number from 0 to below 1")
finite_float = _argument_type(float, math.isfinite, "a finite number")


def setting(text):
    """`name=value` with a value that is a number, true, false, none or a word."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE. Received: {text!r}")
    words = {"true": True, "false": False, "none": None}
    if value.lower() in words:
        return name, words[value.lower()]
    for convert in (int, float):
        try:
            return name, convert(value)
        except ValueError:
            continue
    return name, value


def add_data_arguments(parser, what="images and classes", positional="data"):
    """Adds where the examples come from: a folder, an `.npz` file, or a data set of TFDS."""
    group = parser.add_argument_group("data")
    group.add_argument(
        positional,
        nargs="?",
        metavar=positional.upper(),
        help=f"{what}: a folder with one sub-folder of images a class, or an .npz file with the "
        "arrays x and y",
    )
    group.add_argument(
        "--dataset", metavar="NAME", help="a data set of TensorFlow Datasets instead of DATA"
    )
    group.add_argument(
        "--split", default="train", metavar="SPLIT", help="split of --dataset (default: train)"
    )
    group.add_argument(
        "--data-dir", metavar="PATH", help="where TensorFlow Datasets keeps its data sets"
    )
    group.add_argument(
        "--image-size",
        type=positive_int,
        metavar="PIXELS",
        help="side to which images are resized (default: 64 for folders; as they are otherwise; "
        "as the model wants it where there is one)",
    )


def check_data_arguments(path, dataset):
    """Refuses both or neither of DATA and --dataset."""
    if bool(path) == bool(dataset):
        raise UsageError("give either DATA (a folder or an .npz file) or --dataset NAME")
