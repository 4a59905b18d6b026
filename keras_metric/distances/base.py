"""What a distance is: a matrix between rows, a vector of aligned rows, and a similarity."""

import abc

from keras import ops

from keras_metric import checks
from keras_metric.registry import Registry
from keras_metric.tensors.numerics import as_float


class Distance(abc.ABC):
    """Small = close, for every distance; zero distance has a zero gradient.

    Subclasses give `_pairwise` and `_between` on floating tensors of known rank, register with
    `DISTANCES.register(name)` and, if they have arguments, give `get_config`.

    Attributes:
        bounded: whether distances and similarities have fixed bounds, as margins on a similarity need.
        differentiable: whether it can be trained through.
    """

    bounded = False
    differentiable = True

    def pairwise(self, x, y=None):
        """Distances between all rows.

        Args:
            x: (B, D), floating; integers become float32; float16 and bfloat16 are computed in float32.
            y: (N, D), or None for `x` itself.

        Returns:
            (B, N), float32 or, for float64 input, float64.

        Raises:
            ValueError: if an input is not a matrix, or the two differ in D.
        """
        owner = type(self).__name__
        x = checks.embeddings(as_float(x), "x", owner)
        if y is None:
            return self._pairwise(x, x)
        y = checks.embeddings(as_float(y), "y", owner)
        _check_same_dimensions(x, y, owner)
        return self._pairwise(x, ops.cast(y, x.dtype))

    def between(self, x, y):
        """Distances between aligned rows.

        Args:
            x, y: (..., D) of one shape.

        Returns:
            (...): without the last axis.

        Raises:
            ValueError: if the shapes differ.
        """
        owner = type(self).__name__
        x, y = as_float(x), as_float(y)
        if len(x.shape) != len(y.shape) or len(x.shape) == 0:
            raise ValueError(
                f"`x` and `y` of {owner}.between must have the same shape. "
                f"Received: {tuple(x.shape)} and {tuple(y.shape)}."
            )
        checks.same_rows(x, "x", y, "y", owner)
        _check_same_dimensions(x, y, owner)
        return self._between(x, ops.cast(y, x.dtype))

    def similarity(self, distances):
        """Large = close; −distance unless the distance has a natural similarity."""
        return -distances

    @abc.abstractmethod
    def _pairwise(self, x, y):
        """(B, D) and (N, D) → (B, N)."""

    @abc.abstractmethod
    def _between(self, x, y):
        """(..., D) and (..., D) → (...)."""

    def get_config(self):
        """Constructor arguments, for Keras' serialisation."""
        return {}

    @classmethod
    def from_config(cls, config):
        """The distance with these constructor arguments."""
        return cls(**config)


DISTANCES = Registry("distance", Distance)


def _check_same_dimensions(x, y, owner):
    if None not in (x.shape[-1], y.shape[-1]) and x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"`x` and `y` of {owner} must have the same number of dimensions. "
            f"Received: shapes {tuple(x.shape)} and {tuple(y.shape)}."
        )
