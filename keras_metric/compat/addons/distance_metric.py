"""The argument `distance_metric`: three names, or a function from embeddings to a matrix of distances."""

import keras
from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.distances import get as get_distance
from keras_metric.tensors.numerics import as_float

# "angular" is 1 − cosine there, no angle.
NAMES = {"L2": "euclidean", "squared-L2": "squared_euclidean", "angular": "cosine"}


class CalledDistance(Distance):
    """Distances by a function from embeddings (batch, dimensions) to a matrix (batch, batch).

    It works inside one batch only, as there.
    """

    def __init__(self, function):
        self.function = function

    def _pairwise(self, x, y):
        if y is not x:
            raise ValueError(
                "A callable `distance_metric` compares the rows of one batch and cannot be used with a cross-batch "
                "memory. Use a class of keras_metric.distances with keras_metric.losses.TripletLoss."
            )
        distances = as_float(self.function(x))
        rank = len(distances.shape)
        if rank != 2 or None not in distances.shape and distances.shape[0] != distances.shape[1]:
            checks.fail_shape(
                "distance_metric", "the loss", "return a matrix (batch, batch)", distances
            )
        return ops.cast(distances, x.dtype)

    def _between(self, x, y):
        raise ValueError("A callable `distance_metric` has no distances of aligned rows.")


def as_distance_metric(value, owner):
    """`(what to keep, Distance)` of a name, a function, or the registered name of a function."""
    if isinstance(value, str):
        if value in NAMES:
            return value, get_distance(NAMES[value])
        function = keras.saving.get_registered_object(value)
        if function is None:
            checks.fail(
                "distance_metric", owner, f"be one of {list(NAMES)} or a function", value,
                "A function is saved by its registered name: run the code that registers it before loading.",
            )  # fmt: skip
        return function, CalledDistance(function)
    if callable(value):
        return value, CalledDistance(value)
    raise TypeError(
        f"`distance_metric` of {owner} must be one of {list(NAMES)} or a function from embeddings "
        f"(batch, dimensions) to distances (batch, batch). Received: {value!r}. "
        "Distances of keras_metric go into keras_metric.losses.TripletLoss."
    )


def saved_distance_metric(value, owner):
    """What a config keeps: the name, or the registered name of a function.

    Raises:
        ValueError: for a function that Keras does not know by name.
    """
    if isinstance(value, str):
        return value
    name = keras.saving.get_registered_name(value)
    if not isinstance(name, str) or keras.saving.get_registered_object(name) is not value:
        checks.fail(
            "distance_metric", owner, "be registered to be saved", value,
            "Put @keras.saving.register_keras_serializable() above the function, or save only the encoder.",
        )  # fmt: skip
    return name
