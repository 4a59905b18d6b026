"""Builders of plain functional Keras models around an encoder."""

from keras_metric.models.siamese import siamese_pair, siamese_triplet
from keras_metric.models.two_tower import two_tower

__all__ = ["siamese_pair", "siamese_triplet", "two_tower"]
