"""Builders of plain functional Keras models around an encoder."""

from keras_metric.models.siamese import siamese_pair, siamese_triplet
from keras_metric.models.two_tower import two_tower
from keras_metric.models.with_memory import with_memory
from keras_metric.models.with_proxies import with_proxies

__all__ = ["siamese_pair", "siamese_triplet", "two_tower", "with_memory", "with_proxies"]
