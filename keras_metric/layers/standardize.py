"""Inputs with mean 0 and deviation 1, learned from data once and then part of the model."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_metric.layers.base import LAYERS

_CHUNK = 1 << 22  # values that are turned into float64 together


@LAYERS.register("standardize")
class Standardize(keras.layers.Normalization):
    """(x − mean) / deviation for each channel: `keras.layers.Normalization` with an exact and strict `adapt`.

        standardize = keras_metric.layers.Standardize()
        standardize.adapt(train_images)
        encoder = keras.Sequential([keras.Input((32, 32, 3)), standardize, …])

    Mean and variance are weights: they travel into `.keras` files and exports. What differs from Keras' layer: `adapt`
    sums in float64 (float32 drifts over millions of pixels), refuses NaN and infinity by row, and leaves channels that
    never vary as they are but for their mean (Keras divides them by 1e-7); computed in float32 under mixed precision.

    Args:
        axis: axis or axes that keep statistics of their own; -1: each channel. None: one for everything.
        mean, variance: instead of `adapt`.

    Call arguments:
        inputs: (B, …), of any real type.

    Returns:
        Same shape, float32.
    """

    def __init__(self, axis: int | Sequence[int] | None = -1, mean=None, variance=None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(axis=axis, mean=mean, variance=variance, **kwargs)

    def adapt(self, data):
        """Learns mean and variance.

        Args:
            data: array or tensor (N, …), or something that gives batches x or (x, y), such as a `tf.data.Dataset`; an
                endless one needs `.take(n)`.

        Raises:
            ValueError: for NaN or infinity, and where there is no data.
        """
        if self.input_mean is not None:
            raise ValueError("Standardize was given mean and variance; it cannot adapt as well.")
        count, seen = 0, 0
        for batch in _batches(data):
            batch = np.asarray(ops.convert_to_numpy(batch))
            if not self.built:
                self.build((None, *batch.shape[1:]))
            for part in _chunks(batch):
                part = part.astype("float64")
                _refuse_not_finite(part, seen)
                seen += len(part)
                if not part.size:
                    continue
                added = part.size / np.prod(self._mean_and_var_shape, dtype="float64")
                part_mean = part.mean(axis=self._reduce_axis)
                part_var = part.var(axis=self._reduce_axis)
                if not count:
                    mean, var = part_mean, part_var
                else:  # Chan et al. 1983
                    share, gap = added / (count + added), part_mean - mean
                    mean = mean + share * gap
                    var = (1 - share) * var + share * part_var + share * (1 - share) * gap**2
                count += added
        if not count:
            raise ValueError("`data` of Standardize.adapt must hold something. Received: no rows.")
        flat = np.sqrt(var) <= 1e-7 * np.abs(mean)  # what rounding leaves of a constant
        self.adapt_mean.assign(mean.astype("float32"))
        self.adapt_variance.assign(np.where(flat, 1.0, var).astype("float32"))
        self.finalize_state()

    def get_config(self):
        """Constructor arguments."""
        config = super().get_config()
        del config["invert"]
        if self.input_mean is None:
            config["mean"] = config["variance"] = None
        return config


def _batches(data):
    """Arrays out of everything that `adapt` takes."""
    if hasattr(data, "shape"):
        yield data
        return
    for batch in data:
        yield batch[0] if isinstance(batch, (tuple, list)) else batch


def _chunks(batch):
    step = max(1, _CHUNK // max(1, batch[:1].size))
    for start in range(0, len(batch), step):
        yield batch[start : start + step]


def _refuse_not_finite(part, seen):
    if np.isfinite(part).all():
        return
    bad = np.flatnonzero(~np.isfinite(part.reshape(len(part), -1)).all(axis=1))
    raise ValueError(
        f"`data` of Standardize.adapt must be finite. Received: NaN or infinity, first in row {seen + bad[0]}."
    )
