"""Embeddings of past batches as further references."""

import keras
from keras import ops

from keras_metric import checks
from keras_metric.layers.base import LAYERS
from keras_metric.losses import LOSSES, EmbeddingLoss
from keras_metric.tensors.numerics import as_float, mean_over_rows, nan_unless_finite
from keras_metric.tensors.relations import as_ids, as_multi_hot, pair_relations


@LAYERS.register("cross_batch_memory")
class CrossBatchMemory(keras.layers.Layer):
    """Adds a loss of the batch against itself and the last `size` embeddings of earlier batches.

    The anchors are the rows of the batch; the references are the batch (through which gradients flow) and the memory
    (through which none do). A row never meets itself, and empty slots take part in nothing. Training steps push the
    batch into the memory, oldest out first; evaluation reads it only. The memory is saved and loaded with the model.

        model = keras_metric.models.with_memory(encoder, CrossBatchMemory(4096, "contrastive"))
        model.compile("adam")
        model.fit(batches.map(lambda x, y: ((x, y),)))

    Args:
        size: number of embeddings kept, >= 1; as many as the encoder's drift allows, for example some
            dozens of batches.
        loss: name or any loss on embeddings (contract: has `compare`); its `relation` and `ignore_id` hold.
        weight: factor of the loss, >= 0.

    Call arguments:
        inputs: `(embeddings, labels)`: (B, D), and class ids (B,) or (B, 1) (or multi-hot (B, C) with
            `relation="overlap"`), which are kept as integers of 64 bits (on JAX: 32).

    Returns:
        The embeddings, unchanged.

    References:
        Wang et al., "Cross-Batch Memory for Embedding Learning", CVPR 2020, arXiv:1912.06798. Differs from it: the
        current batch takes part with its gradient on both sides.
    """

    def __init__(self, size, loss, weight=1.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        owner = "CrossBatchMemory"
        self.size = checks.whole(size, "size", owner)
        self.loss = LOSSES.get(loss)
        self.weight = checks.number(weight, "weight", owner, at_least=0)
        if not isinstance(self._inner(), EmbeddingLoss):
            raise TypeError(
                "`loss` of CrossBatchMemory must be a loss between the embeddings of a batch. "
                f"Received: {type(self.loss).__name__}."
            )

    def build(self, input_shape):
        """Creates the queues: `memory` (size, D), `memory_labels` and the number of slots `filled`."""
        embeddings, labels = input_shape
        if len(embeddings) != 2 or embeddings[-1] is None:
            raise ValueError(
                "`embeddings` of CrossBatchMemory must have the shape (batch, dimensions), dimensions known. "
                f"Received: shape {tuple(embeddings)}."
            )
        overlap = self.loss.relation == "overlap"
        if overlap and (len(labels) != 2 or labels[1] is None):
            raise ValueError(
                "`labels` of CrossBatchMemory must be multi-hot, of shape (batch, classes), classes known, with "
                f'relation="overlap". Received: shape {tuple(labels)}.'
            )
        self.memory = self._queue("memory", (self.size, embeddings[-1]), None)
        self.memory_labels = (
            self._queue("memory_labels", (self.size, labels[1]), None)
            if overlap
            else self._queue("memory_labels", (self.size,), _integers())
        )
        self.filled = self._queue("filled", (), "int32")

    def _queue(self, name, shape, dtype):
        return self.add_weight(
            autocast=False,
            name=name,
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=False,
        )

    def call(self, inputs, training=False):
        """Adds the loss; pushes in training."""
        embeddings, labels = inputs
        rows = as_float(embeddings)
        labels = self._as_stored(labels)
        # The newest slot is the last, so that the slots in use are the last `filled`.
        past = ops.stop_gradient(ops.cast(self.memory, rows.dtype))
        references = ops.concatenate([rows, past], axis=0)  # (B + size, D)
        stored_labels = ops.convert_to_tensor(self.memory_labels)
        reference_labels = ops.concatenate([labels, stored_labels], axis=0)
        relations = self._pairs(labels, reference_labels, rows.dtype)
        among_references = None
        if self._inner().looks_among_references:
            among_references = self._pairs(reference_labels, reference_labels, rows.dtype)
        per_anchor = self.loss.compare(rows, references, relations, among_references)
        self.add_loss(self.weight * mean_over_rows(per_anchor) + nan_unless_finite(references))
        if training:
            self._push(references, reference_labels, labels)
        return embeddings

    def _as_stored(self, labels):
        if self.loss.relation == "overlap":
            return ops.cast(as_multi_hot(labels, "CrossBatchMemory", "labels"), self.variable_dtype)
        return ops.cast(as_ids(labels, "CrossBatchMemory", "labels"), self.memory_labels.dtype)

    def _inner(self):
        # MatryoshkaLoss holds another loss, which may be one of towers and has no references then.
        return getattr(self.loss, "loss", self.loss)

    def _pairs(self, labels, reference_labels, dtype):
        """Relations (B, N) of anchors with references, or (N, N) of references with each other."""
        signs = pair_relations(
            labels,
            reference_labels,
            relation=self.loss.relation,
            ignore_id=self.loss.ignore_id,
            owner="CrossBatchMemory",
        )
        row, column = _positions(labels), _positions(reference_labels)
        # Columns: first the batch, then the empty slots, then the slots in use.
        batch = ops.shape(reference_labels)[0] - self.size
        in_use = ops.logical_or(column <= batch, column > batch + self.size - self.filled)
        in_use_row = ops.logical_or(row <= batch, row > batch + self.size - self.filled)
        counts = ops.logical_and(in_use_row[:, None], in_use[None, :])
        counts = ops.logical_and(counts, row[:, None] != column[None, :])
        return ops.cast(ops.where(counts, signs, ops.zeros_like(signs)), dtype)

    def _push(self, references, reference_labels, labels):
        # [memory, batch] without its first rows; `references` is [batch, memory].
        batch = ops.shape(labels)[0]

        def newest(joined):
            rolled = ops.concatenate([joined[batch:], joined[:batch]], axis=0)
            return rolled[-self.size :]

        self.memory.assign(ops.cast(ops.stop_gradient(newest(references)), self.memory.dtype))
        self.memory_labels.assign(newest(reference_labels))
        self.filled.assign(ops.minimum(self.filled + batch, self.size))

    def compute_output_spec(self, inputs, training=False):
        """The embeddings' own shape."""
        return keras.KerasTensor(inputs[0].shape, dtype=inputs[0].dtype)

    def get_config(self):
        """Constructor arguments."""
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "size": self.size, "loss": loss, "weight": self.weight}


def _positions(x):
    """1, 2, … for each row, also where the number of rows is unknown when tracing."""
    first = x[:, 0] if len(x.shape) == 2 else x
    return ops.cumsum(ops.ones_like(first, dtype="int32"))


def _integers():
    return "int32" if keras.backend.backend() == "jax" else "int64"
