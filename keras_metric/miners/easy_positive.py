"""The easiest positive of each anchor."""

from keras import ops

from keras_metric.miners.base import MINERS, Miner, Pairs, Triplets, both_kinds, sums_of_chosen
from keras_metric.tensors.positives import nearest_beyond, nearest_of, one_hot_columns, pick


@MINERS.register("easy_positive")
class EasyPositiveMiner(Miner):
    """The nearest positive, with the nearest negative beyond it (else the farthest): one triplet an anchor.

    Pulling only the nearest positive lets a class keep several clusters.

    References:
        Xuan, Stylianou and Pless, "Improved Embeddings with Easy Positive Triplet Mining", WACV 2020,
        arXiv:1904.04370, section 3.2.
    """

    def choose_pairs(self, distances, relations, rows=None):
        """One positive and one negative for each anchor that has both."""
        triplets = _choose(distances, relations)
        return Pairs(
            one_hot_columns(triplets.positives[:, 0], distances) * triplets.weights,
            one_hot_columns(triplets.negatives[:, 0], distances) * triplets.weights,
        )

    def triplet_sums(self, distances, relations, margin, rows=None, reference_distances=None):
        """One triplet for each anchor."""
        triplets = _choose(ops.stop_gradient(distances), relations)
        return sums_of_chosen(distances, triplets, margin, reference_distances)


def _choose(distances, relations):
    positive = nearest_of(distances, relations > 0)
    negative = nearest_beyond(distances, relations < 0)(pick(distances, positive))
    weight = both_kinds(relations)
    return Triplets(positive[:, None], negative[:, None], weight[:, None])
