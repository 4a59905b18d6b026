"""Angular loss."""

import math

from keras import ops

from keras_metric import checks
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_terms
from keras_metric.tensors.masked import masked_max
from keras_metric.tensors.numerics import LARGE, unit_rows


def angular(similarities, pairs, angle=40.0, reference_similarities=None):
    """Bounds the angle at each negative of the triangle that it makes with a positive pair.

        term[a, p] = log(1 + Σ_{n in N(a)} exp(4 tan²α (x_a + x_p)ᵀ x_n − 2 (1 + tan²α) x_aᵀ x_p))

    averaged over positive pairs. exp(x_aᵀx_n) · exp(x_pᵀx_n) summed over n is one matrix product: no cube.

    Args:
        similarities: cosines, shape (batch, references).
        pairs: `Pairs` of 1 and 0, each of shape (batch, references).
        angle: α in degrees, in (0, 65]: beyond, exponentials of cosines no longer fit into float32.
        reference_similarities: cosines of shape (references, references), where the references are not the batch.

    Returns:
        Losses of shape (batch,). Positive pairs of an anchor without negatives do not count.

    References:
        Wang et al., "Deep Metric Learning with Angular Loss", ICCV 2017, arXiv:1708.01682, equations 7 and 8.
    """
    tan_squared = math.tan(math.radians(angle)) ** 2
    logits = (4.0 * tan_squared) * similarities
    at_positives = logits
    if reference_similarities is not None:
        at_positives = (4.0 * tan_squared) * reference_similarities
    top = ops.stop_gradient(masked_max(logits, pairs.negatives))[:, None]  # (B, 1)
    has_negative = top > -LARGE
    top = ops.where(has_negative, top, 0.0)
    top_positives = ops.stop_gradient(ops.max(at_positives, axis=1, keepdims=True))  # (N, 1)
    by_anchor = ops.exp(ops.where(pairs.negatives > 0, logits - top, -LARGE))
    by_positive = ops.exp(at_positives - top_positives)
    totals = ops.matmul(by_anchor, ops.transpose(by_positive))  # (B, N)
    counted = ops.logical_and(pairs.positives > 0, has_negative)
    against = ops.log(ops.where(counted, totals, 1.0)) + top + ops.transpose(top_positives)
    terms = ops.softplus(against - 2.0 * (1.0 + tan_squared) * similarities)
    sums = ops.sum(ops.where(counted, terms, 0.0), axis=1)
    return mean_over_terms(sums, ops.sum(ops.cast(counted, sums.dtype), axis=1))


@LOSSES.register("angular")
class AngularLoss(EmbeddingLoss):
    """`angular` between the normalised embeddings of a batch.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions), which are normalised here; batches
    with 2 or more examples of a class (`data.pk_batches`).

    Args:
        angle: see `angular`; the paper takes 36 to 55 degrees.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Differs from the paper: every positive pair of the batch with every negative of its anchor, not one pair a class; no
    N-pair loss is added. The distance of the same name is another thing: `distances.AngularDistance`.
    """

    def __init__(self, angle=40.0, **kwargs):
        super().__init__(**kwargs)
        self.angle = checks.number(angle, "angle", "AngularLoss", above=0, at_most=65)

    def compare(self, embeddings, references, relations, reference_relations=None):
        """Losses (B,) of anchors against references."""
        units = unit_rows(embeddings)
        if references is embeddings:
            similarities, between = ops.matmul(units, ops.transpose(units)), None
        else:
            others = unit_rows(references)
            similarities = ops.matmul(units, ops.transpose(others))
            between = ops.matmul(others, ops.transpose(others))
        return angular(similarities, all_pairs(relations), self.angle, between)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "angle": self.angle}
