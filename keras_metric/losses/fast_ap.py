"""FastAP."""

from keras import ops

from keras_metric import checks
from keras_metric.distances.squared_euclidean import SquaredEuclideanDistance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners.base import all_pairs
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.histograms import soft_histograms
from keras_metric.tensors.numerics import unit_rows


def fast_ap(squared_distances, pairs, bins=10):
    """One minus the average precision of the batch ranked for each anchor, by histograms of distances.

        loss[a] = 1 − (1 / |P(a)|) Σ_l H⁺_l h⁺_l / H_l

    h⁺ is the histogram of positives and h that of all, both with bins + 1 triangular bins centred at 0, 4/bins, …, 4;
    H⁺ and H are their cumulative sums.

    Args:
        squared_distances: shape (batch, references), between normalised embeddings: in [0, 4].
        pairs: `Pairs` of weights, each of shape (batch, references).
        bins: number of intervals, >= 1.

    Returns:
        Losses of shape (batch,), in [0, 1). Anchors without a positive give 0 and do not count.

    References:
        Cakir et al., "Deep Metric Learning to Rank", CVPR 2019, section 3.
    """
    values = ops.clip(squared_distances, 0.0, 4.0)
    positive, negative = soft_histograms(values, pairs.positives, pairs.negatives, bins, 4.0)
    cumulative = ops.cumsum(positive, axis=1)
    negatives_before = ops.cumsum(negative, axis=1)
    everything = cumulative + negatives_before
    filled = everything > 0
    # 1 − H⁺/H as H⁻/H: exactly 0 where no negative is as close.
    missed = positive * negatives_before / ops.where(filled, everything, 1.0)
    count = ops.sum(pairs.positives, axis=1)
    return mean_over_anchors(ops.sum(missed, axis=1) / ops.maximum(count, 1.0), count)


@LOSSES.register("fast_ap")
class FastAPLoss(EmbeddingLoss):
    """`fast_ap` between the normalised embeddings of a batch.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions), which are normalised here; large
    batches with several examples of a class (`data.pk_batches`). The anchor itself is not ranked.

    Args:
        bins: see `fast_ap`.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    A zero vector is at squared distance 1 from every normalised one.

    See also: `SmoothAPLoss` ranks without bins.
    """

    def __init__(self, bins=10, **kwargs):
        super().__init__(**kwargs)
        self.bins = checks.whole(bins, "bins", "FastAPLoss", at_least=1)

    def compare(self, embeddings, references, relations, reference_relations=None):
        """Losses (B,) of anchors against references."""
        units = unit_rows(embeddings)
        others = units if references is embeddings else unit_rows(references)
        distances = SquaredEuclideanDistance().pairwise(units, others)
        return fast_ap(distances, all_pairs(relations), self.bins)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "bins": self.bins}
