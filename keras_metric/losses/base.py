"""The flow of every loss between the embeddings of a batch, once: ids → relations → distances → loss."""

import abc
import math
import numbers

import keras
from keras import ops

from keras_metric import checks
from keras_metric.distances import DISTANCES
from keras_metric.miners import MINERS
from keras_metric.registry import Registry
from keras_metric.tensors.numerics import as_float, nan_unless_finite
from keras_metric.tensors.relations import RELATIONS, pair_relations

LOSSES = Registry("loss", keras.losses.Loss)


class EmbeddingLoss(keras.losses.Loss, abc.ABC):
    """Base of losses from class ids `(batch,)` and embeddings `(batch, dimensions)`.

    A subclass gives `per_anchor`, or `compare` if a matrix of distances is not what it works on.

    Args:
        distance: name or `Distance`; None for a loss that has its own.
        miner: name or `Miner`; None for a loss that takes every pair.
        relation: `"same"`: rows with equal ids are positives. `"overlap"`: `y_true` is multi-hot `(batch, classes)`,
            and rows that share a class are.
        ignore_id: rows with this id take part in nothing; None: all do.
        reduction, name, dtype: as for every Keras loss.
    """

    needs_bounded_similarity = False
    looks_among_references = False  # whether `compare` needs `reference_relations`

    def __init__(
        self,
        distance=None,
        miner=None,
        relation="same",
        ignore_id=None,
        reduction: str | None = "sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        owner = type(self).__name__
        super().__init__(name=name or LOSSES.name_of(self), reduction=reduction, dtype=dtype)
        self.distance = None if distance is None else DISTANCES.get(distance)
        self.miner = None if miner is None else MINERS.get(miner)
        self.relation = checks.choice(relation, "relation", owner, RELATIONS)
        self.ignore_id = as_ignored_id(ignore_id, owner)
        self._check_distance(owner)

    def _check_distance(self, owner):
        if self.distance is None:
            return
        name = DISTANCES.name_of(self.distance) or type(self.distance).__name__
        if not self.distance.differentiable:
            checks.fail(
                "distance", owner, "be differentiable", name, "Use it for search and evaluation."
            )
        if self.needs_bounded_similarity and not self.distance.bounded:
            checks.fail(
                "distance", owner, "have a bounded similarity", name, 'Use distance="cosine".'
            )

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Reduced loss; ids are compared before Keras casts `y_true` to float, which merges large ones."""
        owner = type(self).__name__
        embeddings = checks.embeddings(as_float(y_pred), "y_pred", owner)
        relations = pair_relations(
            y_true, relation=self.relation, ignore_id=self.ignore_id, owner=owner
        )
        checks.same_rows(relations, "y_true", embeddings, "y_pred", owner)
        mask = getattr(y_pred, "_keras_mask", None)
        if mask is not None:
            embeddings._keras_mask = mask
        return super().__call__(relations, embeddings, sample_weight)

    def call(self, relations, embeddings):
        """Losses (B,) of relations (B, B) and embeddings (B, D)."""
        embeddings = as_float(embeddings)
        losses = self.compare(embeddings, embeddings, ops.cast(relations, embeddings.dtype))
        return losses + nan_unless_finite(embeddings)

    def compare(self, embeddings, references, relations, reference_relations=None):
        """Losses (B,) of anchors against references; what a cross-batch memory calls.

        Args:
            embeddings: (B, D).
            references: (N, D); may hold the embeddings themselves, then with relation 0 between an item and itself.
            relations: (B, N) of +1, −1 and 0.
            reference_relations: (N, N), for losses that look at the negatives of a positive; None: `relations`,
                which is right where the references are the batch itself.
        """
        # One tensor twice, if it is one: distances then normalise it once.
        others = None if references is embeddings else references
        distances = self.distance.pairwise(embeddings, others)
        return self.per_anchor(distances, relations, (embeddings, references))

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) whose plain mean is the loss; `rows` are the embeddings and references behind the distances."""
        raise NotImplementedError(f"{type(self).__name__} must give `per_anchor` or `compare`.")

    def mine_pairs(self, distances, relations, rows):
        """`Pairs` by the loss's miner, which compares similarities where a distance has its own."""
        return self.miner.pairs(-self.distance.similarity(distances), relations, rows)

    def get_config(self):
        """Constructor arguments, including the dtype, which Keras leaves out."""
        config = {**super().get_config(), "relation": self.relation, "ignore_id": self.ignore_id}
        config["dtype"] = self.dtype
        for argument in ("distance", "miner"):
            if getattr(self, argument) is not None:
                config[argument] = keras.saving.serialize_keras_object(getattr(self, argument))
        return config


def as_ignored_id(value, owner):
    """`ignore_id` as an int, or None."""
    if value is None:
        return None
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or int(value) != value:
        checks.fail("ignore_id", owner, "be a whole number or None", value)
    return int(value)
