"""Matryoshka representation learning over any loss of embeddings."""

import keras

from keras_metric import checks
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.losses.tower_base import TowerLoss
from keras_metric.tensors.numerics import as_float


@LOSSES.register("matryoshka")
class MatryoshkaLoss(EmbeddingLoss):
    """Trains the first coordinates of an embedding to be a good embedding of their own.

        Σ_k w_k · loss(first dims_k coordinates)

    Afterwards an embedding may be cut to any of `dims`, for a smaller and faster index.

    Inputs: those of the inner loss; `y_true` reaches it untouched.

    Args:
        loss: name, saved config or instance of a loss of embeddings (batch, dimensions) or towers (batch, towers,
            dimensions).
        dims: numbers of coordinates, each >= 1 and different, none above the dimensions of the embeddings. Give
            the full number too if the whole embedding is to be trained.
        weights: w_k >= 0, one for each of `dims`; None: 1 each.
        reduction, name, dtype: as for every Keras loss; those of the inner loss are not used.

    Raises:
        ValueError: at the first call, if one of `dims` is beyond the embedding.

    References:
        Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022, arXiv:2205.13147, equation 1.
    """

    def __init__(
        self,
        loss,
        dims,
        weights=None,
        reduction: str | None = "sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        owner = "MatryoshkaLoss"
        self.loss = LOSSES.get(loss)
        if not isinstance(self.loss, (EmbeddingLoss, TowerLoss)):
            rule = "take embeddings (batch, dimensions) or towers (batch, towers, dimensions)"
            checks.fail("loss", owner, rule, type(self.loss).__name__)
        super().__init__(
            relation=getattr(self.loss, "relation", "same"),
            ignore_id=getattr(self.loss, "ignore_id", None),
            reduction=reduction,
            name=name,
            dtype=dtype,
        )
        self.dims = checks.wholes(dims, "dims", owner)
        if weights is None:
            weights = [1.0] * len(self.dims)
        if not hasattr(weights, "__len__") or len(weights) != len(self.dims):
            rule = f"have one number for each of the {len(self.dims)} dims"
            checks.fail("weights", owner, rule, weights)
        self.weights = tuple(checks.number(w, "weights", owner, at_least=0) for w in weights)
        # Row by row, so that reduction and sample weights are applied once, to the sum.
        config = {**self.loss.get_config(), "reduction": "none"}
        self._by_row = type(self.loss).from_config(config)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Reduced loss; ids go to an inner loss of towers as they came."""
        if isinstance(self.loss, EmbeddingLoss):
            return super().__call__(y_true, y_pred, sample_weight)
        embeddings = as_float(y_pred)
        self._check_dims(embeddings)
        losses = self._sum(lambda part: self._by_row(y_true, part), embeddings)
        mask = getattr(y_pred, "_keras_mask", None)
        if mask is not None:
            losses._keras_mask = mask
        return keras.losses.Loss.__call__(self, losses, losses, sample_weight)

    def call(self, y_true, y_pred):
        """Losses (B,), which Keras then weights and reduces."""
        if isinstance(self.loss, EmbeddingLoss):
            return super().call(y_true, y_pred)
        return y_pred  # the losses of the rows

    def compare(self, embeddings, references, relations, reference_relations=None):
        """Losses (B,) of anchors against references, for inner losses of class ids and embeddings."""
        self._check_dims(embeddings)

        def inner(part):
            others = part if references is embeddings else references[..., : part.shape[-1]]
            return self.loss.compare(part, others, relations, reference_relations)

        return self._sum(inner, embeddings)

    def _sum(self, loss, embeddings):
        parts = zip(self.weights, self.dims, strict=True)
        return sum(weight * loss(embeddings[..., :dim]) for weight, dim in parts)

    def _check_dims(self, embeddings):
        known = embeddings.shape[-1]
        if known is not None and max(self.dims) > known:
            rule = f"not go beyond the {known} dimensions of the embeddings"
            checks.fail("dims", "MatryoshkaLoss", rule, self.dims)

    def get_config(self):
        """Constructor arguments."""
        config = super().get_config()
        del config["relation"], config["ignore_id"]
        inner = keras.saving.serialize_keras_object(self.loss)
        own = {"loss": inner, "dims": list(self.dims), "weights": list(self.weights)}
        return {**config, **own}
