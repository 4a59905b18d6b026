"""Exact search in the graph of an exported model: the embeddings of an index as variables."""

import numpy as np
import tensorflow as tf

from keras_metric.distances import (
    AngularDistance,
    CosineDistance,
    EuclideanDistance,
    InnerProductDistance,
    PoincareDistance,
    SquaredEuclideanDistance,
)
from keras_metric.export import threshold
from keras_metric.tensors.numerics import unit_rows

SPARE = 16  # candidates beyond k that are compared again in float64
BY_COSINE = (CosineDistance, AngularDistance)  # which rank alike


class Corpus(tf.Module):
    """Embeddings, ids and labels of an index, and the search through them.

    Candidates come from one matrix product; their distances are then computed again row by row in float64 and sorted
    in float32, as `Index` does, so that near duplicates come in the right order and with the right distance. Ties keep
    the order of adding. Unlike `Index`, it looks at 16 candidates beyond k only: where more items than that are equally
    near but for the rounding of a float32 product, some of them are found, not the very nearest.

    Args:
        index: `keras_metric.index.Index` with at least one item.
        k: neighbours to give; at most the size of the index.
    """

    def __init__(self, index, k):
        super().__init__()
        if not len(index):
            raise ValueError(
                "`index` of saved_model must hold something. Received: an empty index."
            )
        self.distance = index.distance
        self.k = min(k, len(index))
        self.size = len(index)
        vectors = tf.constant(np.asarray(index.vectors, "float32"))
        self.vectors = tf.Variable(vectors, trainable=False, name="corpus_vectors")
        self.ids = _variable(index.ids, "corpus_ids")
        self.labels = None if index.labels is None else _variable(index.labels, "corpus_labels")
        if isinstance(self.distance, BY_COSINE):
            inverse = tf.math.divide_no_nan(1.0, tf.norm(tf.cast(vectors, tf.float64), axis=1))
            self.inverse = tf.Variable(
                tf.cast(inverse, tf.float32), trainable=False, name="corpus_inverse_lengths"
            )
        if isinstance(self.distance, EuclideanDistance | SquaredEuclideanDistance):
            # Measured from the mean, |y|² is small and the product form loses fewer digits.
            self.center = tf.Variable(
                tf.reduce_mean(vectors, 0), trainable=False, name="corpus_center"
            )
            squares = tf.reduce_sum((vectors - self.center) ** 2, 1)
            self.squares = tf.Variable(squares, trainable=False, name="corpus_squares")

    def search(self, embedding):
        """The k nearest items of each row: `distances`, `ids` and, if there are any, `labels`, each (B, k)."""
        if embedding.shape[-1] not in (None, self.vectors.shape[1]):
            raise ValueError(
                f"`index` of saved_model must hold embeddings of the encoder, which have {embedding.shape[-1]} "
                f"dimensions. Received: an index of {self.vectors.shape[1]} dimensions."
            )
        _, candidates = tf.math.top_k(-self._rough(embedding), min(self.k + SPARE, self.size))
        candidates = tf.sort(candidates, axis=1)  # so that the stable sort below keeps their order
        distances = self._exact(embedding, candidates)
        order = tf.argsort(distances, axis=1, stable=True)[:, : self.k]
        rows = tf.gather(candidates, order, batch_dims=1)
        outputs = {
            "distances": tf.gather(distances, order, batch_dims=1),
            "ids": tf.gather(self.ids, rows),
        }
        if self.labels is not None:
            outputs["labels"] = tf.gather(self.labels, rows)
        return outputs

    def match(self, embedding, largest):
        """The nearest item of each row, if it is not farther than `largest`; each output is (B,)."""
        found = {name: x[:, 0] for name, x in self.search(embedding).items()}
        matched = threshold.within(found["distances"], largest)
        outputs = {"ids": _where_matched(matched, found["ids"])}
        if self.labels is not None:
            outputs["labels"] = _where_matched(matched, found["labels"])
        return {**outputs, "distances": found["distances"], "matched": matched}

    def _rough(self, x):
        """Something (B, N) that sorts nearly as the distances do."""
        if isinstance(self.distance, BY_COSINE):
            return -tf.matmul(unit_rows(x), self.vectors, transpose_b=True) * self.inverse
        if isinstance(self.distance, InnerProductDistance):
            return -tf.matmul(x, self.vectors, transpose_b=True)
        if isinstance(self.distance, EuclideanDistance | SquaredEuclideanDistance):
            x = x - self.center
            # x·(y − c) = x·y − x·c, so that the centred corpus need not be kept as well.
            products = tf.matmul(x, self.vectors, transpose_b=True)
            products -= tf.linalg.matvec(x, self.center)[:, None]
            return self.squares - 2.0 * products
        if isinstance(self.distance, PoincareDistance):
            # At the edge of the ball, float32 is too coarse to tell even neighbours apart.
            x, vectors = tf.cast(x, tf.float64), tf.cast(self.vectors, tf.float64)
            return self.distance.pairwise(x, vectors)
        return self.distance.pairwise(x, self.vectors)

    def _exact(self, x, candidates):
        """Distances (B, candidates) between the rows of x and their candidates, by float64 rounded to float32."""
        # Gathering from the variable itself would make TensorFlow copy all of it at every read, here and in `_rough`.
        vectors = tf.convert_to_tensor(self.vectors)
        items = tf.cast(tf.gather(vectors, candidates), tf.float64)
        rows = tf.broadcast_to(tf.cast(x, tf.float64)[:, None, :], tf.shape(items))
        flat = [tf.reshape(one, (-1, self.vectors.shape[1])) for one in (rows, items)]
        distances = self.distance.between(*flat)
        if isinstance(self.distance, BY_COSINE):
            # Parallel rows of different lengths differ in the last bits, and would not tie.
            distances = tf.round(tf.maximum(distances, 0.0) * 2.0**48) / 2.0**48
        return tf.cast(tf.reshape(distances, tf.shape(candidates)), tf.float32)


def _variable(values, name):
    if values.dtype.kind == "U":
        values = tf.constant([str(value) for value in values])
    return tf.Variable(values, trainable=False, name=name)


def _where_matched(matched, values):
    nothing = "" if values.dtype == tf.string else -1
    return tf.where(matched, values, tf.constant(nothing, values.dtype))
