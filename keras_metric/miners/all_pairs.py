"""No choice: everything counts."""

from keras_metric.miners.base import MINERS, Miner, all_pairs


@MINERS.register("all")
class AllMiner(Miner):
    """Every positive and every negative of weight 1; as triplets, every positive with every negative.

    The hinge over all triplets is exact in O(B² log B) time and O(B²) memory (`tensors/triplet_sums.py`).
    """

    def choose_pairs(self, distances, relations, rows=None):
        """All of them."""
        return all_pairs(relations)
