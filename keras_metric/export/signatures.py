"""The functions that an exported model offers, in TensorFlow's graph."""

import contextlib

import tensorflow as tf
from keras import tree

from keras_metric.export import specs, threshold


class Signatures:
    """Builds the `tf.function`s of an encoder: each takes flat named tensors and returns a dict of them.

    Args:
        encoder: Keras layer or model on the TensorFlow backend.
        preprocessing: callable from raw inputs to the encoder's, or None.
        inputs: nest of named `tf.TensorSpec`s of the raw inputs.
        distance: `Distance` of `similarity`.
        largest: largest distance of a pair that is the same, or None.
        corpus: `Corpus` to search in, or None.
    """

    def __init__(self, encoder, preprocessing, inputs, distance, largest=None, corpus=None):
        self.encoder = encoder
        self.preprocessing = preprocessing
        self.inputs = inputs
        self.distance = distance
        self.largest = largest
        self.corpus = corpus

    def functions(self):
        """`(name, tf.function)` of each signature, traced; the first is the default one."""
        one = tree.flatten(self.inputs)
        pair = [*specs.prefixed(self.inputs, "a"), *specs.prefixed(self.inputs, "b")]
        wanted = [("embed", self.embed, one), ("similarity", self.similarity, pair)]
        if self.preprocessing is not None:
            wanted.append(("preprocess", self.preprocess, one))
        if self.corpus is not None:
            wanted.append(("search", self.search, one))
            if self.largest is not None:
                wanted.append(("match", self.match, one))
        return [(name, _traced(function, takes)) for name, function, takes in wanted]

    def embed(self, *inputs):
        """`inputs` → `embedding` (B, D)."""
        return {"embedding": self._embed(inputs)}

    def similarity(self, *inputs):
        """`a`, `b` → `distance` (B,), `similarity` (B,) and, with a threshold, `same` (B,)."""
        half = len(inputs) // 2
        a, b = inputs[:half], inputs[half:]
        paired = tf.debugging.assert_equal(
            tf.shape(a[0])[0], tf.shape(b[0])[0], "`a` and `b` must have the same number of rows."
        )
        # Otherwise whatever fails first, further on, would say it in its own way.
        with tf.control_dependencies([paired]):
            a, b = [tf.identity(x) for x in a], [tf.identity(x) for x in b]
        distances = self.distance.between(self._embed(a), self._embed(b))
        outputs = {"distance": distances, "similarity": self.distance.similarity(distances)}
        if self.largest is not None:
            outputs["same"] = threshold.within(distances, self.largest)
        return outputs

    def preprocess(self, *inputs):
        """`inputs` → what the encoder gets: `inputs`, or one output for each of its several inputs."""
        ready = self._prepared(inputs)
        names = tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), ready)
        names = [spec.name for spec in tree.flatten(specs.named(names))]
        return dict(zip(names, tree.flatten(ready), strict=True))

    def search(self, *inputs):
        """`inputs` → `distances` (B, k), `ids` (B, k) and, if the index has them, `labels` (B, k)."""
        return self.corpus.search(self._embed(inputs))

    def match(self, *inputs):
        """`inputs` → `ids`, `distances`, `matched` and, if the index has them, `labels`, each (B,)."""
        return self.corpus.match(self._embed(inputs), self.largest)

    def _prepared(self, inputs):
        raw = tree.pack_sequence_as(self.inputs, list(inputs))
        if self.preprocessing is None:
            return raw
        with _told("`preprocessing` of saved_model fails on raw inputs", raw):
            return self.preprocessing(raw)

    def _embed(self, inputs):
        ready = self._prepared(inputs)
        if self.preprocessing is None:
            embedding = self.encoder(ready, training=False)
        else:
            with _told("`encoder` of saved_model does not take what `preprocessing` gives,", ready):
                embedding = self.encoder(ready, training=False)
        if tree.is_nested(embedding) or embedding.shape.rank != 2:
            raise ValueError(
                "`encoder` of saved_model must give one tensor of embeddings, (batch, dimensions). "
                f"Received: {embedding}."
            )
        # Three digits of a float16 are too few to compare by.
        return tf.cast(embedding, tf.float32) if embedding.dtype.size < 4 else embedding


@contextlib.contextmanager
def _told(what, nest):
    """Says of an error in the graph what did not take what, and the way out."""
    try:
        yield
    except Exception as error:  # TensorFlow, Keras and the user's own function raise many kinds
        shapes = [f"{one.dtype.name} {one.shape}" for one in tree.flatten(nest)]
        raise ValueError(
            f"{what} {', '.join(shapes)}: {' '.join(str(error).split())[:500]} If raw inputs have another shape or "
            "dtype, say so by `input_signature`, or give some as `warmup`."
        ) from error


def _traced(function, takes):
    traced = tf.function(function, input_signature=takes, autograph=False)
    traced.get_concrete_function()
    return traced
