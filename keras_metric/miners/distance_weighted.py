"""Negatives weighted against the density of distances on the sphere."""

from keras import ops

from keras_metric import checks
from keras_metric.miners.base import MINERS, Miner, Pairs, all_pairs
from keras_metric.tensors.masked import masked_max
from keras_metric.tensors.numerics import safe_sqrt, unit_rows
from keras_metric.tensors.triplet_sums import sums_of_all_triplets


@MINERS.register("distance_weighted")
class DistanceWeightedMiner(Miner):
    """Every pair, each negative by its expected number of draws when distances are sampled evenly.

        w_an ∝ 1 / q(max(d, cutoff)),   q(d) = d^(D−2) · (1 − d²/4)^((D−3)/2),   Σ_n w_an = 1

    d is the Euclidean distance of the normalised embeddings, whatever the distance of the loss; w_an = 0 from `limit`
    on. In triplets every positive meets all weighted negatives; for pair losses an anchor's negatives together weigh as
    much as its positives. Weights instead of the paper's random draws: the expected loss, without a seed.

    Args:
        cutoff: distances below count as this one, in (0, 2).
        limit: negatives from here on are left out, in (0, 2).

    References:
        Wu et al., "Sampling Matters in Deep Embedding Learning", ICCV 2017, arXiv:1706.07567, equation 4.
    """

    def __init__(self, cutoff=0.5, limit=1.4):
        owner = "DistanceWeightedMiner"
        self.cutoff = checks.number(cutoff, "cutoff", owner, above=0, below=2)
        self.limit = checks.number(limit, "limit", owner, above=0, below=2)

    def choose_pairs(self, distances, relations, rows=None):
        """All positives of weight 1; the negatives of an anchor together weigh as much."""
        positives, negatives = self._shares(relations, rows)
        return Pairs(positives, negatives * ops.sum(positives, axis=1, keepdims=True))

    def triplet_sums(self, distances, relations, margin, rows=None, reference_distances=None):
        """Every positive with the expected hinge over the negatives."""
        pairs = self._shares(relations, rows)
        return sums_of_all_triplets(distances, pairs, margin, reference_distances)

    def _shares(self, relations, rows):
        embeddings, references = (ops.stop_gradient(x) for x in rows)
        pairs = all_pairs(relations)
        cosines = ops.matmul(unit_rows(embeddings), ops.transpose(unit_rows(references)))
        squared = ops.maximum(2.0 - 2.0 * cosines, 0.0)
        distances = safe_sqrt(squared)
        negatives = ops.where(distances < self.limit, pairs.negatives, 0.0)
        clipped = ops.clip(distances, self.cutoff, self.limit)
        dimensions = embeddings.shape[1]
        log_weights = -(dimensions - 2.0) * ops.log(clipped) - (dimensions - 3.0) / 2.0 * ops.log(
            1.0 - clipped * clipped / 4.0
        )
        # Normalised in logarithms: in 512 dimensions 1/q itself overflows.
        top = masked_max(log_weights, negatives)[:, None]
        weights = ops.where(negatives > 0, ops.exp(ops.minimum(log_weights - top, 0.0)), 0.0)
        total = ops.sum(weights, axis=1, keepdims=True)
        return Pairs(pairs.positives, weights / ops.where(total > 0, total, 1.0))

    def get_config(self):
        """Cutoff and limit."""
        return {"cutoff": self.cutoff, "limit": self.limit}
