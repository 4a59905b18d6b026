"""Margin loss with a learned boundary for each class."""

import keras
from keras import ops

from keras_metric import checks
from keras_metric.layers.base import LAYERS
from keras_metric.losses import LOSSES, MarginLoss
from keras_metric.losses.margin import margin_loss
from keras_metric.tensors.columns import class_indices
from keras_metric.tensors.numerics import as_float, mean_over_rows, nan_unless_finite
from keras_metric.tensors.relations import as_ids, pair_relations


@LAYERS.register("learned_boundary")
class LearnedBoundary(keras.layers.Layer):
    """Adds `MarginLoss` in which each class learns its own boundary β between positives and negatives.

        model = keras_metric.models.with_memory(encoder, LearnedBoundary(num_classes=100))
        model.compile("adam")
        model.fit(batches.map(lambda x, y: ((x, y),)))

    Args:
        num_classes: C; class ids must be 0 … C − 1 (`data.dense_ids`), except for the loss's `ignore_id`.
        loss: `MarginLoss`, its name or config; its `boundary` is where each β begins.
        regularization: ν >= 0 of the paper: adds ν times the mean β of the batch's rows, which draws the boundaries in.

    Call arguments:
        inputs: `(embeddings, labels)`: (B, D) and class ids (B,) or (B, 1).

    Returns:
        The embeddings, unchanged.

    References:
        Wu et al., "Sampling Matters in Deep Embedding Learning", ICCV 2017, arXiv:1706.07567, section 4.2.
    """

    def __init__(
        self, num_classes, loss: str | dict | MarginLoss = "margin", regularization=0.0, **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        owner = "LearnedBoundary"
        self.num_classes = checks.whole(num_classes, "num_classes", owner)
        self.loss = LOSSES.get(loss)
        if not isinstance(self.loss, MarginLoss) or self.loss.relation != "same":
            raise TypeError(
                '`loss` of LearnedBoundary must be a MarginLoss with relation="same". '
                f"Received: {self.loss!r}."
            )
        self.regularization = checks.number(regularization, "regularization", owner, at_least=0)

    def build(self, input_shape):
        """Creates `boundaries` (C,)."""
        self.boundaries = self.add_weight(
            autocast=False,
            name="boundaries",
            shape=(self.num_classes,),
            initializer=keras.initializers.Constant(self.loss.boundary),
        )

    def call(self, inputs):
        """Adds the loss."""
        embeddings, labels = inputs
        rows = checks.embeddings(as_float(embeddings), "embeddings", "LearnedBoundary")
        labels = as_ids(labels, "LearnedBoundary", "labels")
        relations = pair_relations(labels, ignore_id=self.loss.ignore_id, owner="LearnedBoundary")
        relations = ops.cast(relations, rows.dtype)
        distances = self.loss.distance.pairwise(rows)
        pairs = self.loss.mine_pairs(distances, relations, (rows, rows))
        boundary, mean = self._boundaries_of(labels, rows.dtype)
        per_anchor = margin_loss(distances, pairs, self.loss.margin, boundary[:, None])
        loss = mean_over_rows(per_anchor) + self.regularization * mean
        self.add_loss(loss + nan_unless_finite(rows) + nan_unless_finite(boundary))
        return embeddings

    def _boundaries_of(self, labels, dtype):
        """The boundary of each row's class (B,), and their mean over the rows that are not ignored."""
        index, valid, outside = class_indices(
            labels, self.num_classes, self.loss.ignore_id, "LearnedBoundary", "labels"
        )
        boundary = ops.cast(ops.take(self.boundaries, index), dtype)
        if outside is not None:
            boundary = ops.where(outside, float("nan"), boundary)
        if valid is None:
            return boundary, mean_over_rows(boundary)
        weights = ops.cast(valid, dtype)  # an ignored row has no pair: its boundary serves nothing
        return boundary, ops.sum(weights * boundary) / ops.maximum(ops.sum(weights), 1.0)

    def compute_output_spec(self, inputs):
        """The embeddings' own shape."""
        return keras.KerasTensor(inputs[0].shape, dtype=inputs[0].dtype)

    def get_config(self):
        """Constructor arguments."""
        own = {
            "num_classes": self.num_classes,
            "loss": keras.saving.serialize_keras_object(self.loss),
            "regularization": self.regularization,
        }
        return {**super().get_config(), **own}
