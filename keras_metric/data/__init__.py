"""tf.data pipelines for metric learning: P×K batches, pairs, triplets, two views, from memory, files and streams."""

from keras_metric.data.from_dataframe import from_dataframe
from keras_metric.data.from_folder import from_folder, load_folder
from keras_metric.data.from_stream import from_stream
from keras_metric.data.from_tfds import from_tfds, load_tfds
from keras_metric.data.from_tfrecords import from_tfrecords
from keras_metric.data.hard_pairs import hard_pairs
from keras_metric.data.hard_triplets import hard_triplets
from keras_metric.data.labels import dense_ids, multi_hot
from keras_metric.data.loading import load_image, load_sound
from keras_metric.data.pairs import pairs
from keras_metric.data.pk_batches import pk_batches
from keras_metric.data.split import split
from keras_metric.data.triplets import triplets
from keras_metric.data.two_views import two_views

__all__ = [
    "dense_ids",
    "from_dataframe",
    "from_folder",
    "from_stream",
    "from_tfds",
    "from_tfrecords",
    "hard_pairs",
    "hard_triplets",
    "load_folder",
    "load_image",
    "load_sound",
    "load_tfds",
    "multi_hot",
    "pairs",
    "pk_batches",
    "split",
    "triplets",
    "two_views",
]
