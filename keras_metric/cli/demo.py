"""`keras-metric demo`: handwritten digits, from scans to a served model, in about a minute."""

import os
import shutil
import sys
import time
from pathlib import Path

import keras
import numpy as np

from keras_metric import evaluation, export, index, losses
from keras_metric.cli import digits, encoders, judging, training
from keras_metric.cli.options import positive_float, positive_int, whole_number
from keras_metric.cli.records import save_arrays, save_model, versions, write_json
from keras_metric.cli.sources import held_out
from keras_metric.cli.tables import table

NAME = "demo"
SUMMARY = "train, judge and export a model for handwritten digits (offline)"
EXAMPLE = "keras-metric demo --epochs 10 --seed 1"
DESCRIPTION = """
Trains an encoder on scikit-learn's 1,797 scans of handwritten digits and judges it twice: on scans that
were held out, and, trained on the digits 0 to 6 only, on 7, 8 and 9. Both times the figures stand beside
those of the raw pixels. Writes digits.keras, a picture, an index of the scans trained on, and the SavedModel
digits/1/, which embeds, compares, searches that index and decides; proves in a process without Keras that it
gives the same as the encoder.
"""

NAME_OF_ALL = "keras-metric"
HELD_OUT = 0.4  # share of the scans that training does not see
SEEN, UNSEEN = range(7), range(7, 10)
LEARNING_RATE = 0.002
STEPS = (
    32  # an epoch; few long epochs, as each begins with some tenths of a second for its pipeline
)


def add_arguments(parser):
    """Options of the command."""
    parser.add_argument(
        "--output", type=Path, default=Path("saved_models"), metavar="PATH",
        help="folder to write into (default: saved_models)",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", type=positive_int, default=15, help="of each training (default: 15)"
    )
    parser.add_argument(
        "--embedding-dim",
        type=positive_int,
        default=128,
        help="numbers in an embedding (default: 128)",
    )
    parser.add_argument(
        "--temperature", type=positive_float, default=0.1, help="of NTXentLoss (default: 0.1)"
    )
    parser.add_argument("--seed", type=whole_number, default=0, help="of everything (default: 0)")


def run(arguments):
    """Runs the demo."""
    began = time.monotonic()
    scans = digits.load()
    kept, out = held_out(scans.y, HELD_OUT)
    print(f"{len(scans.x)} scans of handwritten digits, 8 × 8 pixels, from scikit-learn.")

    encoder = _encoder(scans.x[kept], arguments)
    _train(encoder, scans.x[kept], scans.y[kept], arguments, "all ten digits    ", 10, 12)
    embeddings = judging.embed(encoder, scans.x[out])
    figures = {"held-out": _beside_pixels(embeddings, scans.x[out], scans.y[out])}

    seen, unseen = np.isin(scans.y, SEEN), np.isin(scans.y, UNSEEN)
    x, y = digits.with_made_up_classes(scans.x[seen], scans.y[seen], arguments.seed)
    stranger = _encoder(x, arguments)
    _train(stranger, x, y, arguments, "digits 0 to 6 only", 28, 4)
    figures["unseen"] = _beside_pixels(
        judging.embed(stranger, scans.x[unseen]), scans.x[unseen], scans.y[unseen]
    )

    print(f"\nThe {len(out)} scans that training did not see:")
    _show(figures["held-out"])
    print(f"\nThe {unseen.sum()} scans of 7, 8 and 9, by the encoder that saw only 0 to 6:")
    _show(figures["unseen"])

    paths = _write(encoder, scans, kept, out, embeddings, figures, arguments)
    print(f"\nDone in {time.monotonic() - began:.0f} s. {_next_steps(paths)}")


def _encoder(x, arguments):
    keras.utils.set_random_seed(arguments.seed)
    return encoders.build(x, arguments.embedding_dim)


def _train(encoder, x, y, arguments, title, classes, examples):
    training.fit(
        encoder,
        losses.NTXentLoss(temperature=arguments.temperature),
        x,
        y,
        epochs=arguments.epochs,
        classes_per_batch=classes,
        examples_per_class=examples,
        steps_per_epoch=STEPS,
        learning_rate=LEARNING_RATE,
        decay=True,
        seed=arguments.seed,
        title=title,
    )


def _beside_pixels(embeddings, x, y):
    return {"encoder": judging.judge(embeddings, y), "pixels": judging.judge(judging.flat(x), y)}


def _show(figures):
    rows = {"this encoder": figures["encoder"], "raw pixels": figures["pixels"]}
    print(table(judging.COLUMNS, {name: judging.row(one) for name, one in rows.items()}))


def _write(encoder, scans, kept, out, embeddings, figures, arguments):
    folder = arguments.output / "digits"
    paths = {
        "model": arguments.output / "digits.keras",
        "picture": folder / "digits.png",
        "train": folder / "train.npz",
        "test": folder / "test.npz",
    }
    save_model(encoder, paths["model"])
    for name, rows in (("train", kept), ("test", out)):
        save_arrays(paths[name], x=scans.x[rows], y=scans.y[rows])
    settings = {"command": NAME, **{key: getattr(arguments, key) for key in _OWN}}
    write_json(folder / "settings.json", {**settings, "versions": versions()})
    write_json(folder / "metrics.json", figures)
    _draw(embeddings, scans.x[out], scans.y[out], paths["picture"])

    gallery = _index(judging.embed(encoder, scans.x[kept]), scans, kept)
    gallery.save(folder / "gallery")
    threshold = figures["held-out"]["encoder"]["threshold"]
    version = export.saved_model(
        encoder, folder, index=gallery, threshold=threshold, version=1, overwrite=True
    )
    export.verify(version, encoder, scans.x[out][:33])
    paths["served"] = version
    print(
        f"\n{version}: embeds, searches and matches the same in a process in which Keras cannot be imported."
    )
    return paths


def _index(embeddings, scans, kept):
    gallery = index.Index("cosine")
    gallery.add(
        embeddings,
        ids=np.array([scans.origins[row] for row in kept]),
        labels=np.array(scans.class_names)[scans.y[kept]],
    )
    return gallery


_OWN = ("epochs", "embedding_dim", "temperature", "seed")


def _draw(embeddings, x, y, path):
    picture = evaluation.plots.overview(embeddings, y, images=x)
    picture.savefig(path)


def _next_steps(paths):
    keras_metric = command()
    return f"""What to try next:
  look at {paths["picture"]}
  {keras_metric} evaluate {paths["model"]} {paths["test"]} --report {paths["picture"].with_name("report.html")}
  {keras_metric} train {paths["train"]} --epochs 20 --loss triplet --miner semi_hard --output saved_models/mine
  {keras_metric} serve {paths["served"].parent} --pixel-range 0 16
  {keras_metric} --help"""


def command():
    """How this installation is called from here: by its path, unless the shell finds it by name."""
    installed = Path(sys.executable).parent / NAME_OF_ALL
    found = shutil.which(NAME_OF_ALL)
    if not installed.exists() or (found and os.path.samefile(found, installed)):
        return NAME_OF_ALL
    here = Path.cwd()
    return str(installed.relative_to(here) if installed.is_relative_to(here) else installed)
