"""Lifted structure loss."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_terms
from keras_metric.tensors.masked import log_add_exp, log_sum_exp
from keras_metric.tensors.numerics import LARGE


def lifted_structure(
    distances, pairs, margin=1.0, reference_distances=None, reference_negatives=None
):
    """Pulls each positive pair together against all negatives of both its ends.

        term[a, p] = ½ [d_ap + lse_{n in N(a) ∪ N(p)} (m − d)]+²,   d_an for n in N(a), d_pn for n in N(p)

    averaged over positive pairs.

    Args:
        distances: shape (batch, references).
        pairs: `Pairs` of weights, each of shape (batch, references).
        margin: m >= 0, in units of the distance.
        reference_distances: shape (references, references), where the references are not the batch.
        reference_negatives: weights of the negatives among the references, of the same shape.

    Returns:
        Losses of shape (batch,). Pairs of which neither end has a negative do not count.

    References:
        Oh Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding", CVPR 2016, arXiv:1511.06452,
        equation 4.
    """
    at_anchor = log_sum_exp(margin - distances, pairs.negatives)  # (B,)
    at_positive = at_anchor
    if reference_distances is not None:
        at_positive = log_sum_exp(margin - reference_distances, reference_negatives)  # (N,)
    against = log_add_exp(at_anchor[:, None], at_positive[None, :])  # (B, N)
    weights = ops.where(against > -0.5 * LARGE, pairs.positives, 0.0)
    hinges = ops.relu(ops.where(weights > 0, distances + against, 0.0))
    sums = 0.5 * ops.sum(weights * ops.square(hinges), axis=1)
    return mean_over_terms(sums, ops.sum(weights, axis=1))


@LOSSES.register("lifted_structure")
class LiftedStructureLoss(EmbeddingLoss):
    """`lifted_structure` between the embeddings of a batch.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions); batches with 2 or more examples of
    a class (`data.pk_batches`).

    Args:
        margin: see `lifted_structure`.
        distance: name or `Distance`.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Equal to TensorFlow Addons' `LiftedStructLoss` in value. Both ends of a pair weigh the same, so that the mean over
    ordered pairs is the paper's over unordered ones.

    See also: `GeneralizedLiftedStructureLoss` takes all positives of an anchor together.
    """

    looks_among_references = True

    def __init__(self, margin=1.0, distance: str | Distance = "euclidean", **kwargs):
        super().__init__(distance, **kwargs)
        self.margin = checks.number(margin, "margin", "LiftedStructureLoss", at_least=0)

    def compare(self, embeddings, references, relations, reference_relations=None):
        """Losses (B,) of anchors against references; `reference_relations` (N, N) where these are not the batch."""
        if references is embeddings:
            distances = self.distance.pairwise(embeddings)
            return lifted_structure(distances, all_pairs(relations), self.margin)
        if reference_relations is None:
            checks.same_rows(
                relations, "relations", references, "references", "LiftedStructureLoss.compare without "
                "`reference_relations`, which it needs where the references are not the batch",
            )  # fmt: skip
            reference_relations = relations
        return lifted_structure(
            self.distance.pairwise(embeddings, references),
            all_pairs(relations),
            self.margin,
            self.distance.pairwise(references),
            ops.relu(-reference_relations),
        )

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "margin": self.margin}
