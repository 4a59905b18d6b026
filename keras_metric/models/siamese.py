"""Siamese models: pairs and triplets through one shared tower."""

import keras

from keras_metric.distances import Distance
from keras_metric.layers import EmbeddingDistance, JoinBatches, StackTowers
from keras_metric.models.encoders import checked_encoder, embed, inputs_like


def siamese_pair(encoder, distance: str | Distance = "euclidean"):
    """A model from pairs to their distance, with one shared tower that runs once on both sides.

        model = siamese_pair(encoder)
        model.compile("adam", loss=keras_metric.losses.SiameseContrastiveLoss(margin=1.0))
        model.fit(keras_metric.data.pairs(x, y))

    Args:
        encoder: model or layer from one input (or one nesting of inputs) to embeddings (B, D). It becomes the
            layer named `encoder` and takes that name; weights are shared, so it trains with the model.
        distance: name or `Distance`.

    Returns:
        A functional `keras.Model` with the inputs `[a, b]` and the output distances (B, 1). Put
        `layers.DistanceSimilarity()` on it for probabilities.

    Raises:
        TypeError: if the encoder is no Keras layer.
        ValueError: if its input shape is unknown, or its output is not (B, D).
    """
    return _siamese(encoder, ("a", "b"), distance, "siamese_pair")


def siamese_triplet(encoder, distance: str | Distance = "euclidean"):
    """A model from triplets to two distances, with one shared tower that runs once on all 3B rows.

        model = siamese_triplet(encoder)
        model.compile("adam", loss=keras_metric.losses.SiameseTripletLoss(margin=0.2))
        model.fit(keras_metric.data.triplets(x, y))

    Args:
        encoder: as in `siamese_pair`.
        distance: name or `Distance`.

    Returns:
        A functional `keras.Model` with the inputs `[anchor, positive, negative]` and the output distances (B, 2):
        anchor–positive and anchor–negative.

    Raises:
        TypeError, ValueError: as in `siamese_pair`.
    """
    return _siamese(encoder, ("anchor", "positive", "negative"), distance, "siamese_triplet")


def _siamese(encoder, sides, distance, owner):
    encoder = checked_encoder(encoder, owner)
    inputs = [inputs_like(encoder, side) for side in sides]
    embeddings = embed(encoder, JoinBatches(name="join")(inputs), owner)
    towers = StackTowers(len(sides), name="towers")(embeddings)
    distances = EmbeddingDistance(distance, name="distance")(towers)
    return keras.Model(inputs, distances, name=owner)
