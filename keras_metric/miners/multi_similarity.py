"""Pairs that are informative by their neighbours."""

from keras import ops

from keras_metric import checks
from keras_metric.miners.base import MINERS, Miner, Pairs, all_pairs
from keras_metric.tensors.masked import masked_max, masked_min


@MINERS.register("multi_similarity")
class MultiSimilarityMiner(Miner):
    """Positives less similar than the nearest negative, and negatives more similar than the farthest positive.

    With the margin ε, in similarity = −distance: positive p stays if s_ap − ε < max over N(a) of s, negative n if
    s_an + ε > min over P(a) of s, both strictly. An anchor that lacks positives or negatives keeps nothing.

    Args:
        epsilon: margin, >= 0, in units of the distance.

    References:
        Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning", CVPR 2019,
        arXiv:1904.06627, equations 11 and 12.
    """

    def __init__(self, epsilon=0.1):
        self.epsilon = checks.number(epsilon, "epsilon", "MultiSimilarityMiner", at_least=0)

    def choose_pairs(self, distances, relations, rows=None):
        """The pairs that pass."""
        pairs = all_pairs(relations)
        nearest_negative = masked_min(distances, pairs.negatives)[:, None]
        farthest_positive = masked_max(distances, pairs.positives)[:, None]
        # −LARGE and +LARGE of empty rows fail both comparisons.
        return Pairs(
            ops.where(distances + self.epsilon > nearest_negative, pairs.positives, 0.0),
            ops.where(distances - self.epsilon < farthest_positive, pairs.negatives, 0.0),
        )

    def get_config(self):
        """The margin ε."""
        return {"epsilon": self.epsilon}
