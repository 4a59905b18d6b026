"""What a miner hands to a loss: weights of pairs, or sums over the triplets that it chooses."""

import abc
import typing

from keras import ops

from keras_metric.registry import Registry
from keras_metric.tensors.positives import at_columns
from keras_metric.tensors.triplet_sums import sums_of_all_triplets, sums_of_triplets


class Pairs(typing.NamedTuple):
    """Weights of pairs, each (B, N), 0 for pairs that take no part; no pair has both, and none has a gradient."""

    positives: typing.Any
    negatives: typing.Any


class Triplets(typing.NamedTuple):
    """Triplets of each anchor by column of the distances: (B, M) each; a weight of 0 leaves one out."""

    positives: typing.Any
    negatives: typing.Any
    weights: typing.Any


def all_pairs(relations):
    """`Pairs` of weight 1 wherever a relation counts."""
    return Pairs(ops.relu(relations), ops.relu(-relations))


def both_kinds(relations):
    """1.0 for anchors with a positive and a negative, else 0.0: (B,)."""
    both = ops.logical_and(ops.any(relations > 0, axis=1), ops.any(relations < 0, axis=1))
    return ops.cast(both, relations.dtype)


class Miner(abc.ABC):
    """Chooses what a batch is trained on. Shapes are static; choosing has no gradient.

    A subclass gives `choose_pairs` and registers with `MINERS.register(name)`. Its triplets are every chosen
    positive with every chosen negative, unless it gives `triplet_sums` too.
    """

    def pairs(self, distances, relations, rows=None):
        """`Pairs` for losses that take positives and negatives apart.

        Args:
            distances: (B, N), small = close.
            relations: (B, N) of +1, −1 and 0, from `pair_relations`.
            rows: the embeddings (B, D) and references (N, D) behind the distances, for miners that look at them.
        """
        distances = ops.stop_gradient(distances)
        return Pairs(*map(ops.stop_gradient, self.choose_pairs(distances, relations, rows)))

    def triplet_sums(self, distances, relations, margin, rows=None, reference_distances=None):
        """`TripletSums` of `[d_ap − d_an + margin]+` (softplus for None) over the chosen triplets.

        Args:
            distances: (B, N).
            relations: (B, N).
            margin: number or None.
            rows: as in `pairs`.
            reference_distances: (N, N), to replace d_an by min(d_an, d_pn) after the choice; None: no swap.
        """
        pairs = self.pairs(distances, relations, rows)
        return sums_of_all_triplets(distances, pairs, margin, reference_distances)

    @abc.abstractmethod
    def choose_pairs(self, distances, relations, rows=None):
        """Weights of positives and of negatives, (B, N) each."""

    def get_config(self):
        """Constructor arguments, for Keras' serialisation."""
        return {}

    @classmethod
    def from_config(cls, config):
        """The miner with these constructor arguments."""
        return cls(**config)


MINERS = Registry("miner", Miner)


def sums_of_chosen(distances, triplets, margin, reference_distances=None):
    """`TripletSums` of explicit `Triplets`."""
    # One gather for both, as each has a dense (B, N) gradient.
    both = ops.concatenate([triplets.positives, triplets.negatives], axis=1)
    positive, negative = ops.split(at_columns(distances, both), 2, axis=1)
    if reference_distances is not None:
        width = ops.shape(reference_distances)[0]
        flat = ops.reshape(reference_distances, (-1,))
        swapped = ops.take(flat, triplets.positives * width + triplets.negatives)
        negative = ops.minimum(negative, swapped)
    return sums_of_triplets(positive, negative, triplets.weights, margin)
