"""Evaluation of whole sets at the end of epochs."""

import keras
import numpy as np

from keras_metric import checks, evaluation
from keras_metric.callbacks.embedding import check_rows, embed, embed_batches
from keras_metric.callbacks.first_in_line import stand_first
from keras_metric.distances import DISTANCES, Distance
from keras_metric.evaluation import ranking_metrics

OWNER = "RetrievalEvaluation"
VERIFICATION = ("auc", "eer", "accuracy", "precision", "recall", "f1", "threshold")
TAR = "tar@far="


class RetrievalEvaluation(keras.callbacks.Callback):
    """Evaluates a whole set at the end of epochs and puts the figures into the logs as `val_hit@1`, `val_map@r`, …

        model.fit(train, epochs=20, callbacks=[
            keras.callbacks.ModelCheckpoint("best.keras", monitor="val_map@r", save_best_only=True),
            keras_metric.callbacks.RetrievalEvaluation(x_unseen, y_unseen),
        ])

    The figures are there before `ModelCheckpoint`, `EarlyStopping`, `ReduceLROnPlateau`, `TensorBoard` and the history
    see the logs, wherever this callback stands in the list. Where one of them monitors such a figure with mode "auto",
    its mode is set to the right one.

    The embeddings come from the layer named `encoder`, if the model has one, else from the model itself.

    Args:
        x: data of the queries: an array or nested arrays as for `predict`; or what gives batches `(x, y)` each time it
            is walked through, such as a `tf.data.Dataset`, and then without `y`.
        y: labels of `x`, as `evaluation.retrieval` takes them.
        gallery: data to search in, an array or batches as `x`; None: the queries themselves, each without itself.
        gallery_labels: its labels.
        metrics: names of `evaluation.retrieval` ("hit@1", "map@r", …) and of `evaluation.verification` ("eer", "auc",
            "tar@far=0.01", …), the latter over all pairs of `x`.
        distance: name or `Distance`.
        every: evaluate at the end of every so many epochs; between them the logs hold no such figures.
        batch_size: of embedding.
        prefix: before the names in the logs. With two evaluations (seen and unseen classes) give one of them another.

    Attributes:
        result: the `RetrievalResult` of the last evaluation, with its details; None without retrieval metrics.
        verification: the `VerificationResult` likewise.

    Raises:
        ValueError: for data and labels of different lengths, unknown names, a model that gives no embeddings.
    """

    def __init__(
        self,
        x,
        y=None,
        gallery=None,
        gallery_labels=None,
        metrics=("hit@1", "map@r"),
        distance: str | Distance = "cosine",
        every=1,
        batch_size=256,
        prefix="val_",
    ):
        super().__init__()
        self.x, self.y = x, y
        self.gallery, self.gallery_labels = gallery, gallery_labels
        names = [metrics] if isinstance(metrics, str) else list(metrics)
        self.verification_names = [name for name in names if _of_verification(name)]
        self.retrieval_names = [name for name in names if name not in self.verification_names]
        if self.retrieval_names or not names:
            ranking_metrics.parse(self.retrieval_names, OWNER)
        self.far = tuple(_target(n) for n in self.verification_names if n.startswith(TAR))
        self.distance = DISTANCES.get(distance)
        self.every = checks.whole(every, "every", OWNER)
        self.batch_size = checks.whole(batch_size, "batch_size", OWNER)
        self.prefix = prefix
        self.result = self.verification = None
        self._callbacks = None
        check_rows(x, "x", y, "y", OWNER)
        if gallery is not None:
            check_rows(gallery, "gallery", gallery_labels, "gallery_labels", OWNER)

    def set_model(self, model):
        """Moves to the front of the list of callbacks."""
        super().set_model(model)
        self._callbacks = stand_first(self) or self._callbacks

    def on_train_begin(self, logs=None):
        """Tells callbacks that monitor a figure of this one whether more of it is better."""
        names = self.retrieval_names + self.verification_names
        for one in self._callbacks.callbacks if self._callbacks else ():
            monitored = getattr(one, "monitor", None)
            if monitored in [self.prefix + name for name in names]:
                _set_mode(one, "min" if monitored == self.prefix + "eer" else "max")

    def on_epoch_end(self, epoch, logs=None):
        """Evaluates and writes into `logs`."""
        if (epoch + 1) % self.every:
            return
        figures = self.evaluate(self.model)
        if logs is not None:
            logs.update({self.prefix + name: value for name, value in figures.items()})

    def evaluate(self, model):
        """Name → figure, for any model, also outside `fit`."""
        x, y = self._embedded(model, self.x, self.y)
        figures = {}
        if self.retrieval_names:
            gallery, gallery_labels = None, None
            if self.gallery is not None:
                gallery, gallery_labels = self._embedded(model, self.gallery, self.gallery_labels)
            self.result = evaluation.retrieval(
                x, y, gallery, gallery_labels, self.retrieval_names, self.distance
            )
            figures.update(self.result)
        if self.verification_names:
            self.verification = evaluation.verification_from_embeddings(
                x, y, self.distance, far=self.far
            )
            figures.update({name: self.verification[name] for name in self.verification_names})
        return figures

    def on_train_end(self, logs=None):
        """Lets go of the list of callbacks."""
        self._callbacks = None

    def _embedded(self, model, x, y):
        if y is None:
            return embed_batches(model, x, OWNER)
        return embed(model, x, self.batch_size, OWNER), y


def _set_mode(callback, mode):
    if getattr(callback, "mode", None) == "auto":
        callback.mode = mode
    elif not hasattr(callback, "mode") and mode == "max" and callback.monitor_op is np.less:
        # ModelCheckpoint of older Keras has settled on less by the name, and forgot whether it was told to.
        callback.monitor_op = np.greater
        if callback.best == np.inf:
            callback.best = -np.inf


def _of_verification(name):
    return isinstance(name, str) and (name in VERIFICATION or name.startswith(TAR))


def _target(name):
    try:
        return float(name.removeprefix(TAR))
    except ValueError:
        rule = "name FAR targets as numbers, for example 'tar@far=0.01'"
        return checks.fail("metrics", OWNER, rule, name)
