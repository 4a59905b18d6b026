"""Median filter for images."""

import functools

import keras
from keras import ops

from keras_metric import checks
from keras_metric.layers.base import LAYERS


@LAYERS.register("median_denoise")
class MedianDenoise(keras.layers.Layer):
    """Each pixel becomes the median of the square around it, channel by channel: specks go, edges stay.

    Keras has no such layer. The median is found by exchanges of pairs, without sorting, so it runs everywhere that
    `minimum` and `maximum` do. Beyond the border the nearest pixel is repeated.

    Args:
        size: side of the square in pixels, odd, >= 3. Exchanges grow fast: 3 needs 20, 5 about 100.

    Call arguments:
        inputs: images (B, height, width, channels), of any real type.

    Returns:
        Same shape; floats keep their type, integers too.
    """

    def __init__(self, size=3, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.size = checks.whole(size, "size", "MedianDenoise", at_least=3)
        if self.size % 2 == 0:
            checks.fail("size", "MedianDenoise", "be odd", size)

    def call(self, inputs):
        """The filtered images."""
        if len(inputs.shape) != 4:
            checks.fail_shape(
                "inputs", "MedianDenoise", "have the shape (batch, height, width, channels)", inputs
            )
        half = self.size // 2
        padded = inputs
        for axis in (1, 2):
            padded = _repeat_border(padded, axis, half)
        height, width = ops.shape(inputs)[1:3]
        values = [
            padded[:, row : row + height, column : column + width]
            for row in range(self.size)
            for column in range(self.size)
        ]
        for low, high in median_exchanges(len(values)):
            a, b = values[low], values[high]
            values[low], values[high] = ops.minimum(a, b), ops.maximum(a, b)
        return values[len(values) // 2]

    def compute_output_spec(self, inputs):
        """Like the inputs."""
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "size": self.size}


def _repeat_border(x, axis, times):
    first = x[:, :1] if axis == 1 else x[:, :, :1]
    last = x[:, -1:] if axis == 1 else x[:, :, -1:]
    return ops.concatenate([first] * times + [x] + [last] * times, axis=axis)


@functools.cache
def median_exchanges(count):
    """Pairs (low, high) of places: putting each pair in order, one after the other, brings the median to the middle.

    Batcher's merge exchange sort, without the exchanges that the middle place does not depend on.

    References:
        Knuth, "The Art of Computer Programming", volume 3, 1998, section 5.2.2, algorithm M.
    """
    exchanges = []
    top = 1 << (count - 1).bit_length() - 1
    p = top
    while p:
        q, r, d = top, 0, p
        while d:
            exchanges += [(i, i + d) for i in range(count - d) if i & p == r]
            d, q, r = (q - p, q // 2, p) if q != p else (0, q, r)
        p //= 2
    needed, kept = {count // 2}, []
    for low, high in reversed(exchanges):
        if low in needed or high in needed:
            needed |= {low, high}
            kept.append((low, high))
    return tuple(reversed(kept))
