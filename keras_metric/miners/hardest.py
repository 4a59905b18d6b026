"""The hardest positive and negative of each anchor."""

from keras import ops

from keras_metric.miners.base import (
    MINERS,
    Miner,
    Pairs,
    Triplets,
    all_pairs,
    both_kinds,
    sums_of_chosen,
)
from keras_metric.tensors.positives import farthest_of, nearest_of, one_hot_columns


@MINERS.register("hardest")
class HardestMiner(Miner):
    """The farthest positive and the nearest negative: one triplet for each anchor that has both.

    Of ties any one is taken. For pair losses, each anchor's farthest positive and nearest negative, also where it has
    only one of the two.

    References:
        Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017,
        arXiv:1703.07737, equation 5.
    """

    def choose_pairs(self, distances, relations, rows=None):
        """One positive and one negative for each anchor."""
        pairs = all_pairs(relations)
        positive, negative = _extremes(distances, relations)
        return Pairs(
            one_hot_columns(positive, distances) * pairs.positives,
            one_hot_columns(negative, distances) * pairs.negatives,
        )

    def triplet_sums(self, distances, relations, margin, rows=None, reference_distances=None):
        """One triplet for each anchor."""
        positive, negative = _extremes(ops.stop_gradient(distances), relations)
        triplets = Triplets(positive[:, None], negative[:, None], both_kinds(relations)[:, None])
        return sums_of_chosen(distances, triplets, margin, reference_distances)


def _extremes(distances, relations):
    return farthest_of(distances, relations > 0), nearest_of(distances, relations < 0)
