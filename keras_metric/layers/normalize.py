"""Unit-length embeddings."""

import keras

from keras_metric.layers.base import LAYERS
from keras_metric.tensors.numerics import as_float, unit_rows


@LAYERS.register("normalize")
class Normalize(keras.layers.Layer):
    """x / |x| along the last axis; a zero vector stays zero, with a zero gradient on every backend.

    Right for vectors of length 1e-30 and of 1e30 as well. Gives float32 also under a mixed precision policy:
    three digits of a float16 are too few to rank neighbours.

    Call arguments:
        inputs: (…, D).

    Returns:
        (…, D).
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def call(self, inputs):
        """Rows of length 1."""
        return unit_rows(as_float(inputs))
