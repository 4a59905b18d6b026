"""Embeddings and scalars for TensorBoard."""

import os
from pathlib import Path

import keras
import numpy as np

from keras_metric import checks
from keras_metric.callbacks.embedding import check_arrays, embed, rows_of
from keras_metric.callbacks.sprite import as_pixels, write_sprite
from keras_metric.models.encoders import with_texts

OWNER = "EmbeddingProjector"


class EmbeddingProjector(keras.callbacks.Callback):
    """Writes embeddings with labels and thumbnails for TensorBoard's projector, and the logs of epochs as scalars.

        model.fit(train, epochs=20, callbacks=[
            keras_metric.callbacks.RetrievalEvaluation(x_unseen, y_unseen),
            keras_metric.callbacks.EmbeddingProjector("runs/first", x_unseen[:2000], y_unseen[:2000]),
        ])
        # then: tensorboard --logdir runs

    In `log_dir` stand `tensors.tsv`, `metadata.tsv`, `sprite.png` and `projector_config.pbtxt`, as of the last epoch
    written, and the event file of the scalars. The same three data files can be loaded at projector.tensorflow.org.

    Args:
        log_dir: folder of the run; made if it is not there.
        x: data as for `predict`, an array or nested arrays; a few thousand rows at most are comfortable to look at.
        y: labels to show and to colour by: (N,), or a dict from column names to (N,). None: row numbers.
        images: thumbnails (N, H, W), or (N, H, W, 1, 3 or 4), bytes or floats. None: `x` itself if it looks like
            images. False: none.
        every: write the embeddings at the end of every so many epochs, and at the end of training.
        thumbnail: largest side of a thumbnail in pixels; larger images are made smaller.
        scalars: whether to write the logs of each epoch.
        batch_size: of embedding.

    Raises:
        ValueError: for `x` that is no array, labels or images of another length, images of another shape.
    """

    def __init__(
        self, log_dir, x, y=None, images=None, every=1, thumbnail=32, scalars=True, batch_size=256
    ):
        super().__init__()
        self.log_dir = Path(log_dir)
        self.x = x = with_texts(x)
        check_arrays(x, OWNER)
        self.columns = _columns(y, rows_of(x))
        self.every = checks.whole(every, "every", OWNER)
        self.batch_size = checks.whole(batch_size, "batch_size", OWNER)
        self.thumbnail = checks.whole(thumbnail, "thumbnail", OWNER)
        self.scalars = scalars
        if images is None and _looks_like_images(x):
            images = x
        self.pixels = None if images is None or images is False else as_pixels(images, rows_of(x))
        self._writer, self._written = None, None

    def on_epoch_end(self, epoch, logs=None):
        """Writes the scalars and, if it is time, the embeddings."""
        if self.scalars and logs:
            self._write_scalars(epoch, logs)
        if (epoch + 1) % self.every == 0:
            self.write(self.model)
            self._written = epoch
        self._epoch = epoch

    def on_train_end(self, logs=None):
        """Writes the embeddings as they are at the end."""
        if self._written is None or self._written != self._epoch:
            self.write(self.model)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def write(self, model):
        """Writes the embeddings that a model gives now, also outside `fit`."""
        embeddings = embed(model, self.x, self.batch_size, OWNER)
        self.log_dir.mkdir(parents=True, exist_ok=True)
        self._write_text("tensors.tsv", _table(embeddings))
        self._write_text("metadata.tsv", _metadata(self.columns))
        sprite = ""
        if self.pixels is not None:
            height, width = write_sprite(self.log_dir / "sprite.png", self.pixels, self.thumbnail)
            sprite = (
                '  sprite {\n    image_path: "sprite.png"\n'
                f"    single_image_dim: {width}\n    single_image_dim: {height}\n  }}\n"
            )
        # Last, so that it never names a file that is not there.
        self._write_text(
            "projector_config.pbtxt",
            'embeddings {\n  tensor_name: "embeddings"\n  tensor_path: "tensors.tsv"\n'
            f'  metadata_path: "metadata.tsv"\n{sprite}}}\n',
        )

    def _write_scalars(self, epoch, logs):
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir))
        # What `tf.summary.scalar` writes; that function itself needs the package tensorboard.
        metadata = tf.compat.v1.SummaryMetadata()
        metadata.plugin_data.plugin_name = "scalars"
        with self._writer.as_default(step=epoch), tf.init_scope():
            for name, value in logs.items():
                tf.summary.write(name, np.float32(value), metadata=metadata)
        self._writer.flush()

    def _write_text(self, name, text):
        aside = self.log_dir / f".{name}.new"
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, self.log_dir / name)


def _table(embeddings):
    return "\n".join("\t".join(f"{value:.6g}" for value in row) for row in embeddings.tolist()) + "\n"  # fmt: skip


def _metadata(columns):
    """One column stands without a heading, several with theirs, as TensorBoard wants it."""
    names = [] if len(columns) == 1 else ["\t".join(map(_cell, columns))]
    rows = ["\t".join(map(_cell, row)) for row in zip(*columns.values(), strict=True)]
    return "\n".join(names + rows) + "\n"


def _cell(value):
    value = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
    return " ".join(value.split()) or "-"


def _columns(y, rows):
    if y is None:
        y = np.arange(rows)
    columns = y if isinstance(y, dict) else {"label": y}
    columns = {name: np.asarray(values).reshape(len(values), -1) for name, values in columns.items()}  # fmt: skip
    for name, values in columns.items():
        if len(values) != rows:
            raise ValueError(
                f"`x` and `y` of {OWNER} must have the same number of rows. "
                f"Received: {rows} and {len(values)} ({name})."
            )
    return {name: [_joined(row) for row in values.tolist()] for name, values in columns.items()}


def _joined(row):
    return row[0] if len(row) == 1 else " ".join(map(str, row))


def _looks_like_images(x):
    shape = getattr(x, "shape", ())
    return len(shape) == 4 and shape[-1] in (1, 3, 4)
