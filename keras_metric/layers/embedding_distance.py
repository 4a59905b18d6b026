"""Distances between the towers of a pair or triplet."""

import keras
from keras import ops

from keras_metric.distances import DISTANCES, Distance
from keras_metric.layers.base import LAYERS
from keras_metric.tensors.numerics import as_float


@LAYERS.register("embedding_distance")
class EmbeddingDistance(keras.layers.Layer):
    """Distance of the first tower's embedding from that of each other tower, row by row.

    Computes in float32 also under a mixed precision policy.

    Args:
        distance: name or `Distance`.

    Call arguments:
        embeddings: (B, T, D) with T >= 2, or a list of T tensors (B, D).

    Returns:
        (B, T − 1): one distance for pairs; anchor–positive and anchor–negative for triplets.

    Raises:
        ValueError: for another rank, or fewer than two towers.
    """

    def __init__(self, distance: str | Distance = "euclidean", **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.distance = DISTANCES.get(distance)

    def call(self, embeddings):
        """Distances (B, T − 1)."""
        if isinstance(embeddings, (list, tuple)):
            embeddings = ops.stack([as_float(x) for x in embeddings], axis=1)
        if len(embeddings.shape) != 3 or (embeddings.shape[1] or 2) < 2:
            raise ValueError(
                f"`embeddings` of EmbeddingDistance must have the shape (batch, 2 towers or more, dimensions). "
                f"Received: shape {tuple(embeddings.shape)}."
            )
        embeddings = as_float(embeddings)
        first, others = embeddings[:, :1], embeddings[:, 1:]
        return self.distance.between(ops.broadcast_to(first, ops.shape(others)), others)

    def get_config(self):
        """Constructor arguments."""
        distance = keras.saving.serialize_keras_object(self.distance)
        return {**super().get_config(), "distance": distance}
