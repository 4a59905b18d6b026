"""An alarm for embeddings that have become all the same."""

import warnings

import keras
import numpy as np
from keras import ops

from keras_metric import checks
from keras_metric.callbacks.embedding import check_arrays, embed, rows_of, take
from keras_metric.distances import CosineDistance
from keras_metric.losses import EmbeddingLoss, SiameseTripletLoss
from keras_metric.models.encoders import encoder_of, with_texts

OWNER = "CollapseAlarm"
ROWS = 256  # are enough to see it
SHARE_OF_MARGIN = 0.01  # mean distances below this share of the margin tell nothing apart
COSINE = 1e-3  # mean cosine distance below which they do not, where no margin gives a measure
STILL = 2e-3  # relative change within which a loss stands still
DEAD = (
    1e-5  # mean cosine distance of the embeddings of noise below which an encoder ignores its input
)


class CollapseAlarm(keras.callbacks.Callback):
    """Warns once if the embeddings have collapsed: every input gets nearly the same embedding.

    A triplet loss then stands at its margin, a contrastive loss at the square of its margin, and training goes on for
    hours without learning anything.

    With `x`, its embeddings are compared at the end of each epoch: collapsed are those whose mean distance is below 1 %
    of the margin of the loss, or whose mean cosine distance is below 0.001 if the loss has no margin in units of a
    distance. Without `x`, two other signs are taken: the loss stands within 0.2 % of the value that it has for equal
    embeddings (where that is one value: triplet and contrastive losses), or the encoder gives random inputs the same
    embedding. They can miss a collapse; give `x` for certainty. 256 rows are looked at: the alarm costs nearly nothing.

    Args:
        x: None, or data as for `predict`, of several classes; an array or nested arrays.
        patience: epochs in a row with the sign before the warning, >= 1.
    """

    def __init__(self, x=None, patience=3):
        super().__init__()
        if x is not None:
            x = with_texts(x)
            check_arrays(x, OWNER)
            count = rows_of(x)
            if count < 2:
                raise ValueError(f"`x` of {OWNER} must have at least 2 rows. Received: {count}.")
            x = take(x, np.unique(np.linspace(0, count - 1, min(ROWS, count)).astype("int64")))
        self.x = x
        self.patience = checks.whole(patience, "patience", OWNER)
        self.warned = False
        self._epochs = 0

    def on_train_begin(self, logs=None):
        """Starts counting."""
        self._epochs, self._last_loss, self._noise = 0, None, None
        self._value_at_collapse = _UNKNOWN

    def on_epoch_end(self, epoch, logs=None):
        """Looks for the signs."""
        if self.warned:
            return
        loss = _number((logs or {}).get("loss"))
        sign = self._sign(loss)
        self._last_loss = loss
        self._epochs = self._epochs + 1 if sign else 0
        if self._epochs >= self.patience:
            self.warned = True
            warnings.warn(
                f"The embeddings have collapsed: {sign}, for {self._epochs} epochs. Nothing can be told apart. Usual "
                "ways out: a lower learning rate; easier negatives first (miner='semi_hard' instead of 'hardest'); the "
                "soft margin (margin=None); layers.Normalize at the end of the encoder; batches with several classes "
                "and several examples of each (data.pk_batches)."
            )

    def _sign(self, loss):
        """What shows a collapse, in words, or None."""
        if self.x is not None:
            sign = self._sign_in_distances()
            stands = self._sign_in_loss(loss) if sign else None
            return f"{sign}; {stands}" if stands else sign
        return self._sign_in_loss(loss) or self._sign_in_noise()

    def _sign_in_distances(self):
        distance, margin = _measure(self.model)
        mean = _mean_distance(embed(self.model, self.x, ROWS, OWNER), distance)
        if mean < (SHARE_OF_MARGIN * margin if margin else COSINE):
            return f"the mean distance between the embeddings of different inputs is {mean:.2g}"
        return None

    def _sign_in_loss(self, loss):
        # Evaluated only where the loss stands still, since it is the costly part.
        if loss is None or self._last_loss is None or abs(loss - self._last_loss) > STILL * abs(loss):  # fmt: skip
            return None
        if self._value_at_collapse is _UNKNOWN:
            self._value_at_collapse = value_at_collapse(self.model)
        value = self._value_at_collapse
        if value and abs(loss - value) <= STILL * value:
            return f"the loss stands at {loss:.4g}, its margin, which is its value for equal embeddings"
        return None

    def _sign_in_noise(self):
        if self._noise is None:
            self._noise = _noise_like_inputs(encoder_of(self.model))
        if not len(self._noise):
            return None
        found = embed(self.model, self._noise, ROWS, OWNER)
        if _mean_distance(found, CosineDistance()) < DEAD:
            return "the encoder gives random inputs all the same embedding"
        return None


_UNKNOWN = object()


def value_at_collapse(model):
    """The value of the model's loss where all embeddings are equal; None if it is not one value, or not known."""
    loss = _loss_of(model)
    if isinstance(loss, SiameseTripletLoss):
        return _number(loss(np.zeros(4), np.zeros((4, 2), "float32")))
    if not isinstance(loss, EmbeddingLoss) or loss.relation != "same":
        return None
    found = []
    for classes, examples in ((2, 2), (3, 4)):
        ids = np.repeat(np.arange(classes), examples)
        found.append(_number(loss(ids, np.ones((len(ids), 4), "float32"))))
    one_value = None not in found and abs(found[0] - found[1]) <= 1e-4 * abs(found[0])
    return found[0] if one_value else None


def _loss_of(model):
    """The first loss of the compiled ones that is an object; they may be nested."""
    losses = keras.tree.flatten(getattr(model, "loss", None))
    return next((one for one in losses if isinstance(one, keras.losses.Loss)), None)


def _measure(model):
    """Distance in which embeddings are compared, and the margin in its units; None if there is none."""
    loss = _loss_of(model)
    distance = getattr(loss, "distance", None)
    if distance is None and "Siamese" in type(loss).__name__:
        distance = next((d for d in (getattr(la, "distance", None) for la in model.layers) if d), None)  # fmt: skip
    margin = getattr(loss, "negative_margin", None) or getattr(loss, "margin", None)
    if distance is None or not margin:
        return CosineDistance(), None
    return distance, float(margin)


def _mean_distance(embeddings, distance):
    matrix = ops.convert_to_numpy(distance.pairwise(np.asarray(embeddings, "float32")))
    return float(matrix[~np.eye(len(matrix), dtype=bool)].mean())


def _noise_like_inputs(encoder, rows=16):
    """Random inputs of the encoder's shape, or an empty list where inputs are not numbers of one known shape."""
    inputs = getattr(encoder, "inputs", None) or []
    if len(inputs) != 1 or None in inputs[0].shape[1:] or "float" not in str(inputs[0].dtype):
        return []
    random = np.random.default_rng(0)
    noise = random.normal(size=(rows, *inputs[0].shape[1:]))
    noise[rows // 2 :] *= 100  # pixels of 0 to 255 are of this size
    return noise.astype("float32")


def _number(value):
    if value is None:
        return None
    value = float(ops.convert_to_numpy(value)) if hasattr(value, "shape") else float(value)
    return value if np.isfinite(value) else None
