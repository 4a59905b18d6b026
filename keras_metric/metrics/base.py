"""The flow of every retrieval metric over a batch: ids and embeddings → ranked relevance → mean over queries."""

import abc
import re

import keras
from keras import ops

from keras_metric import checks
from keras_metric.distances import DISTANCES, Distance
from keras_metric.metrics.ranking import rank
from keras_metric.registry import Registry
from keras_metric.tensors.numerics import as_float
from keras_metric.tensors.relations import RELATIONS, pair_relations

METRICS = Registry("metric", keras.metrics.Metric)
AT_K = re.compile(r"(\w+)@(\d+)")


def get(identifier, **kwargs):
    """A metric from its name ("hit@5", "map@r", "eer"), class, saved config or instance.

    Args:
        identifier: `"hit@k"`, `"recall@k"` and `"precision@k"` with a number for k (or without, `"hit"`: k = 1),
            `"map@r"`, `"r_precision"`, `"mrr"`, `"auc"`, `"eer"`, `"accuracy"`; or a class in snake case, `"hit_at_k"`.
        **kwargs: constructor arguments; only with a name or a class.

    Raises:
        ValueError: for an unknown name.
    """
    found = AT_K.fullmatch(identifier) if isinstance(identifier, str) else None
    if found:
        return METRICS.get(found[1], k=int(found[2]), **kwargs)
    if isinstance(identifier, str) and identifier not in METRICS.names():
        by_class = {_snake_case(cls.__name__): cls for _, cls in METRICS.items()}
        identifier = by_class.get(identifier, identifier)
    return METRICS.get(identifier, **kwargs)


def mean_or_nan(total, count):
    """total / count, NaN where the count is 0 or NaN; of variables too."""
    total, count = ops.convert_to_tensor(total), ops.convert_to_tensor(count)
    some = count > 0
    return ops.where(some, total / ops.where(some, count, 1.0), float("nan"))


def _snake_case(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class RetrievalMetric(keras.metrics.Metric, abc.ABC):
    """Base of metrics that rank, for each row of a batch, the other rows of the batch.

    Inputs: `y_true` integer class ids `(batch,)` or `(batch, 1)`, `y_pred` embeddings `(batch, dimensions)`. A query is
    never in its own ranking, equal distances rank in the order of the batch. The result is the mean over the queries of
    all batches that have a relevant item in theirs; NaN if there is none, or if an embedding is not finite.

    A batch is a small gallery: figures are higher than over a whole set. For these see `evaluation.retrieval` and
    `callbacks.RetrievalEvaluation`.

    Args:
        distance: name or `Distance`.
        relation: `"same"`: rows with equal ids are relevant. `"overlap"`: `y_true` is multi-hot `(batch, classes)`, and
            rows that share a class are.
        ignore_id: rows with this id take no part, neither as query nor in a ranking; None: all do.
        name, dtype: as for every Keras metric.
    """

    _direction = "up"

    def __init__(
        self,
        distance: str | Distance = "cosine",
        relation="same",
        ignore_id=None,
        name=None,
        dtype=None,
    ):
        owner = type(self).__name__
        super().__init__(name=name, dtype=dtype)
        self.distance = DISTANCES.get(distance)
        self.relation = checks.choice(relation, "relation", owner, RELATIONS)
        self.ignore_id = ignore_id
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds the queries of a batch, each with its weight."""
        owner = type(self).__name__
        embeddings = checks.embeddings(as_float(y_pred), "y_pred", owner)
        relations = pair_relations(
            y_true, relation=self.relation, ignore_id=self.ignore_id, owner=owner
        )
        checks.same_rows(relations, "y_true", embeddings, "y_pred", owner)
        distances = self.distance.pairwise(embeddings)
        ranking = rank(distances, ops.cast(relations, distances.dtype))
        weights = ops.cast(ranking.counts > 0, distances.dtype)
        values = ops.where(ranking.counts > 0, self.per_query(ranking), 0.0)
        # A row that is not finite stands in every ranking, and some distances would hide it.
        values = ops.where(ops.all(ops.isfinite(embeddings)), values, float("nan"))
        if sample_weight is not None:
            weights = weights * ops.reshape(ops.cast(sample_weight, weights.dtype), (-1,))
        self.total.assign_add(ops.cast(ops.sum(values * weights), self.total.dtype))
        self.count.assign_add(ops.cast(ops.sum(weights), self.count.dtype))

    @abc.abstractmethod
    def per_query(self, ranking):
        """Values (Q,) of a `Ranking`; what stands at queries without a relevant item does not count."""

    def result(self):
        """The mean, a scalar; NaN if no query counts."""
        return mean_or_nan(self.total, self.count)

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "distance": keras.saving.serialize_keras_object(self.distance),
            "relation": self.relation,
            "ignore_id": self.ignore_id,
        }
