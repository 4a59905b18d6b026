"""Miners: which pairs and triplets of a batch a loss is trained on."""

from keras_metric.miners.all_pairs import AllMiner
from keras_metric.miners.base import MINERS, Miner, Pairs, Triplets
from keras_metric.miners.distance_weighted import DistanceWeightedMiner
from keras_metric.miners.easy_positive import EasyPositiveMiner
from keras_metric.miners.hardest import HardestMiner
from keras_metric.miners.multi_similarity import MultiSimilarityMiner
from keras_metric.miners.semi_hard import SemiHardMiner

get = MINERS.get

__all__ = [
    "MINERS",
    "AllMiner",
    "DistanceWeightedMiner",
    "EasyPositiveMiner",
    "HardestMiner",
    "Miner",
    "MultiSimilarityMiner",
    "Pairs",
    "SemiHardMiner",
    "Triplets",
    "get",
]
