"""`keras-metric train`: an encoder from a folder of images, an `.npz` file or a data set of TFDS."""

import inspect
import json
from pathlib import Path

import keras
import numpy as np

from keras_metric import losses, miners
from keras_metric.cli import encoders, judging, options, sources, training
from keras_metric.cli.problems import Failure, UsageError, one_line
from keras_metric.cli.records import save_model, versions, write_json
from keras_metric.cli.tables import table

NAME = "train"
SUMMARY = "train an encoder on your own examples"
EXAMPLE = (
    "keras-metric train saved_models/digits/train.npz --epochs 10 "
    "--loss triplet --miner semi_hard --output saved_models/mine"
)
DESCRIPTION = """
Trains an encoder on batches of several classes with several examples each, judges it on examples that it did
not see, and writes model.keras, settings.json and metrics.json into the output folder. The state of every
finished epoch is kept, so that the same command with --resume goes on after an interruption.
"""

# What a run that goes on must share with the one that began it.
SAME_ON_RESUME = (
    "data", "dataset", "split", "image_size", "loss", "miner", "loss_settings", "batch", "classes_per_batch",
    "examples_per_class", "steps_per_epoch", "embedding_dim", "width", "learning_rate", "augment", "held_out", "seed",
)  # fmt: skip


def add_arguments(parser):
    """Options of the command."""
    options.add_data_arguments(parser)
    model = parser.add_argument_group("model and loss")
    model.add_argument(
        "--loss", choices=_loss_names(), default="nt_xent", metavar="NAME",
        help=f"one of {', '.join(_loss_names())} (default: nt_xent)",
    )  # fmt: skip
    model.add_argument(
        "--miner", choices=miners.MINERS.names(), metavar="NAME",
        help=f"one of {', '.join(miners.MINERS.names())} (default: the loss's own)",
    )  # fmt: skip
    model.add_argument(
        "--set", dest="loss_settings", action="append", default=[], type=options.setting,
        metavar="NAME=VALUE", help="argument of the loss, as margin=0.3; may be repeated",
    )  # fmt: skip
    model.add_argument(
        "--embedding-dim",
        type=options.positive_int,
        default=64,
        help="numbers in an embedding (default: 64)",
    )
    model.add_argument(
        "--width",
        type=options.positive_int,
        default=32,
        help="filters of the first layer (default: 32)",
    )
    model.add_argument(
        "--no-augment", dest="augment", action="store_false",
        help="do not shift and turn images a little while training",
    )  # fmt: skip
    run = parser.add_argument_group("run")
    run.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="folder to write into (default: saved_models/NAME of the data)",
    )
    run.add_argument("--epochs", type=options.positive_int, default=20, help="in all (default: 20)")
    run.add_argument("--batch", type=options.positive_int, help="examples in a batch (default: 64)")
    run.add_argument(
        "--classes-per-batch", type=options.positive_int, metavar="P",
        help="(default: batch / K, at most all classes)",
    )  # fmt: skip
    run.add_argument(
        "--examples-per-class", type=options.positive_int, metavar="K",
        help="(default: 4, more where there are few classes)",
    )  # fmt: skip
    run.add_argument(
        "--steps-per-epoch", type=options.positive_int, metavar="N",
        help="batches in an epoch (default: as many as see every example about once)",
    )  # fmt: skip
    run.add_argument(
        "--learning-rate",
        type=options.positive_float,
        default=1e-3,
        help="of Adam (default: 0.001)",
    )
    run.add_argument(
        "--held-out", type=options.fraction, default=0.2, metavar="SHARE",
        help="share of every class that is judged instead of trained on (default: 0.2)",
    )  # fmt: skip
    run.add_argument(
        "--seed", type=options.whole_number, default=0, help="of everything (default: 0)"
    )
    run.add_argument(
        "--resume", action="store_true", help="go on after the last finished epoch in PATH"
    )
    run.add_argument(
        "--overwrite", action="store_true", help="start anew where PATH holds a run already"
    )


def run(arguments):
    """Trains, judges, and writes the model with its settings and metrics."""
    options.check_data_arguments(arguments.data, arguments.dataset)
    if arguments.resume and arguments.overwrite:
        raise UsageError("give --resume or --overwrite, not both")
    loss = _make_loss(arguments)
    folder = (
        arguments.output or Path("saved_models") / Path(arguments.data or arguments.dataset).stem
    )
    _claim(folder, arguments)
    size = arguments.image_size and (arguments.image_size, arguments.image_size)
    examples = sources.read(
        arguments.data, arguments.dataset, arguments.split, arguments.data_dir, size
    )
    classes, per_class = _batch_shape(arguments, examples)
    kept, out = sources.held_out(examples.y, arguments.held_out, arguments.seed)
    print(
        f"{len(examples.x)} examples of {len(examples.class_names)} classes, {len(out)} held out; "
        f"batches of {classes} classes with {per_class} examples."
    )
    keras.utils.set_random_seed(arguments.seed)
    encoder = encoders.build(
        examples.x[kept], arguments.embedding_dim, arguments.width, arguments.augment
    )
    write_json(folder / "settings.json", {**_settings(arguments), "versions": versions()})
    history = training.fit(
        encoder,
        loss,
        examples.x[kept],
        examples.y[kept],
        epochs=arguments.epochs,
        classes_per_batch=classes,
        examples_per_class=per_class,
        steps_per_epoch=arguments.steps_per_epoch,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        state_path=folder / "state.npz",
    )
    save_model(encoder, folder / "model.keras")
    judged = out if len(out) else kept
    figures = judging.judge(judging.embed(encoder, examples.x[judged]), examples.y[judged])
    pixels = judging.judge(judging.flat(examples.x[judged]), examples.y[judged])
    which = "held-out" if len(out) else "training"
    write_json(
        folder / "metrics.json",
        {
            "judged_on": which,
            "examples": len(judged),
            "encoder": figures,
            "raw_inputs": pixels,
            "history": history,
        },
    )
    print(f"\nThe {len(judged)} {which} examples:")
    rows = {"this encoder": judging.row(figures), "raw inputs": judging.row(pixels)}
    print(table(judging.COLUMNS, rows))
    print(
        f"\nWrote {folder / 'model.keras'}. Next: keras-metric export {folder / 'model.keras'} {folder}"
    )


def _loss_names():
    """Losses on class ids and embeddings that can be made without further arguments."""
    names = []
    for name, one in losses.LOSSES.items():
        needed = [
            argument
            for argument in inspect.signature(one).parameters.values()
            if argument.default is argument.empty and argument.kind is not argument.VAR_KEYWORD
        ]
        if issubclass(one, losses.EmbeddingLoss) and not needed:
            names.append(name)
    return names


def _make_loss(arguments):
    chosen = dict(arguments.loss_settings)
    if arguments.miner:
        chosen["miner"] = arguments.miner
    accepted = inspect.signature(dict(losses.LOSSES.items())[arguments.loss]).parameters
    unknown = sorted(set(chosen) - set(accepted))
    if unknown:
        can = [name for name in accepted if name != "kwargs"]
        raise UsageError(
            f"the loss {arguments.loss} takes no {unknown[0]}; it takes {', '.join(can)}"
        )
    try:
        return losses.get(arguments.loss, **chosen)
    except (TypeError, ValueError) as error:
        raise UsageError(one_line(error)) from error


def _settings(arguments):
    settings = {key: value for key, value in vars(arguments).items() if key not in ("run", "debug")}
    return {**settings, "loss_settings": dict(arguments.loss_settings)}


def _claim(folder, arguments):
    """Refuses to write over a run, or to go on with other settings than it was begun with."""
    settings_file = folder / "settings.json"
    if arguments.overwrite:
        (folder / "state.npz").unlink(missing_ok=True)
        return
    if not settings_file.exists():
        return
    if not arguments.resume:
        raise Failure(
            f"{folder} holds a run already; --resume goes on with it, --overwrite starts anew"
        )
    before, now = json.loads(settings_file.read_text()), _settings(arguments)
    for name in SAME_ON_RESUME:
        was, is_now = before.get(name), now[name]
        if json.dumps(was, default=str) != json.dumps(is_now, default=str):
            raise Failure(
                f"{folder} was begun with {name}={was!r}, now it is {is_now!r}; "
                "resume with the same, or start anew with --overwrite"
            )


def _batch_shape(arguments, examples):
    """P classes with K examples, from what was asked for and what there is."""
    counts = np.bincount(examples.y)
    if len(counts) < 2:
        raise Failure("the examples are all of one class; there is nothing to tell apart")
    if counts.max() < 2:
        raise Failure("every class has a single example; similar pairs need two or more")
    rows = arguments.batch or 64
    per_class = arguments.examples_per_class
    classes = arguments.classes_per_batch
    if classes and arguments.batch and not per_class:
        per_class = max(2, rows // classes)
    if not classes:
        classes = max(2, rows // (per_class or 4))
        if not arguments.batch or not per_class:
            classes = min(classes, len(counts))
    return classes, per_class or max(2, rows // classes)
