"""tf.data pipelines for metric learning: P×K batches, pairs, triplets, two views."""

from keras_metric.data.from_folder import from_folder
from keras_metric.data.from_tfds import from_tfds
from keras_metric.data.labels import dense_ids, multi_hot
from keras_metric.data.pairs import pairs
from keras_metric.data.pk_batches import pk_batches
from keras_metric.data.triplets import triplets
from keras_metric.data.two_views import two_views

__all__ = [
    "dense_ids",
    "from_folder",
    "from_tfds",
    "multi_hot",
    "pairs",
    "pk_batches",
    "triplets",
    "two_views",
]
