"""Losses between a batch's queries and all of its keys: what they share."""

import abc

import keras
from keras import ops

from keras_metric import checks
from keras_metric.distances import DISTANCES, Distance
from keras_metric.losses.base import as_ignored_id
from keras_metric.losses.tower_base import TowerLoss
from keras_metric.tensors.numerics import row_zeros
from keras_metric.tensors.relations import pair_relations


class TowerPairLoss(TowerLoss):
    """Base of losses of each query (tower 0) with all keys (tower 1) and all hard negatives (towers 2, …).

    A subclass gives `of_pairs`.

    Args:
        distance: name or `Distance`; its similarity is used.
        ignore_id: rows with this id take part in nothing; None: all do.
        reduction, name, dtype: as for every Keras loss.
    """

    def __init__(self, distance: str | Distance = "cosine", ignore_id=None, **kwargs):
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.distance = DISTANCES.get(distance)
        if not self.distance.differentiable:
            name = DISTANCES.name_of(self.distance)
            checks.fail("distance", owner, "be differentiable", name, "Use it for search.")
        self.ignore_id = as_ignored_id(ignore_id, owner)

    def targets(self, y_true, towers):
        """Relations (B, B) of queries and keys: +1 equal ids, −1 others, 0 ignored; None for `y_true`: all differ."""
        owner = type(self).__name__
        if y_true is None:
            y_true = ops.cumsum(ops.ones_like(towers[:, 0, 0], dtype="int32"))
        signs = pair_relations(y_true, y_true, ignore_id=self.ignore_id, owner=owner)
        checks.same_rows(signs, "y_true", towers, "y_pred", owner)
        return signs

    def per_row(self, towers, targets):
        """Losses (B,) from all similarities."""
        queries, keys, hard = _parts(towers)
        similarities = self.distance.similarity(self.distance.pairwise(queries, keys))  # (B, B)
        if hard is None:
            return self.of_pairs(similarities, targets, None, None)
        against = self.distance.similarity(self.distance.pairwise(queries, hard))
        taking_part = ops.any(targets != 0, axis=1)
        counts = ops.logical_and(taking_part[:, None], ops.tile(taking_part, towers.shape[1] - 2))
        return self.of_pairs(similarities, targets, against, ops.cast(counts, towers.dtype))

    @abc.abstractmethod
    def of_pairs(self, similarities, relations, hard_similarities, hard_weights):
        """Losses (B,) of similarities and relations (B, B), and of those with hard negatives (B, H) or None."""

    def get_config(self):
        """Constructor arguments."""
        distance = keras.saving.serialize_keras_object(self.distance)
        return {**super().get_config(), "distance": distance, "ignore_id": self.ignore_id}


def _parts(towers):
    queries, keys = towers[:, 0], towers[:, 1]
    count = towers.shape[1]
    if count == 2:
        return queries, keys, None
    hard = ops.reshape(ops.transpose(towers[:, 2:], (1, 0, 2)), (-1, towers.shape[2]))
    return queries, keys, hard


def own_pairs(matrix):
    """1 on the diagonal of a (B, B) matrix, else 0, also where B is unknown when tracing."""
    index = ops.cumsum(row_zeros(matrix, "int32") + 1)
    return ops.cast(index[:, None] == index[None, :], matrix.dtype)
