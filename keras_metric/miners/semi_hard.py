"""Semi-hard negatives."""

from keras import ops

from keras_metric.miners.base import MINERS, Miner, Pairs, Triplets, all_pairs, sums_of_chosen
from keras_metric.tensors.masked import any_weight
from keras_metric.tensors.numerics import LARGE, epsilon
from keras_metric.tensors.positives import (
    FEW,
    column_of,
    for_each_positive,
    most_positives,
    nearest_beyond,
    one_hot_columns,
    pick,
    positive_columns,
    put_column,
)
from keras_metric.tensors.triplet_sums import TripletSums


@MINERS.register("semi_hard")
class SemiHardMiner(Miner):
    """Every positive pair with the nearest negative strictly farther than the positive.

    If there is none, with the farthest negative: as in FaceNet and in TensorFlow Addons. For pair losses each negative
    weighs as many positives as chose it, so that an anchor's negatives together weigh as much as its positives.

    References:
        Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering", CVPR
        2015, arXiv:1503.03832, equation 4.
    """

    def choose_pairs(self, distances, relations, rows=None):
        """All positives of anchors with a negative, and the negatives that they choose."""
        pairs = all_pairs(relations)
        positives = pairs.positives * any_weight(pairs.negatives)[:, None]
        columns, weights = positive_columns(positives, few=False)

        def step(k, state):
            chosen = _negative_for(column_of(columns, k), distances, pairs)
            return (state[0] + one_hot_columns(chosen, distances) * column_of(weights, k)[:, None],)

        zeros = ops.zeros_like(distances)
        return Pairs(positives, for_each_positive(step, most_positives(positives), (zeros,))[0])

    def triplet_sums(self, distances, relations, margin, rows=None, reference_distances=None):
        """One triplet for each positive pair."""
        fixed = ops.stop_gradient(distances)
        pairs = all_pairs(relations)
        positives = pairs.positives * any_weight(pairs.negatives)[:, None]
        pairs = Pairs(positives, pairs.negatives)
        most = most_positives(positives)

        def sums(triplets):
            return tuple(sums_of_chosen(distances, triplets, margin, reference_distances))

        return TripletSums(
            *ops.cond(
                most <= FEW,
                lambda: sums(_choose_by_passes(fixed, pairs, most)),
                lambda: sums(_choose_by_sorting(fixed, pairs)),
            )
        )


def _negative_for(positive, distances, pairs):
    return nearest_beyond(distances, pairs.negatives, pick(distances, positive))


def _choose_by_passes(distances, pairs, most):
    positives, weights = positive_columns(pairs.positives, few=True)

    def step(k, state):
        chosen = _negative_for(column_of(positives, k), distances, pairs)
        return (put_column(state[0], k, ops.cast(chosen, "int32")),)

    negatives = for_each_positive(step, most, (ops.zeros_like(positives, dtype="int32"),))[0]
    return Triplets(positives, negatives, weights)


def _choose_by_sorting(distances, pairs):
    # A negative that equals the positive is not beyond it: the positive moves behind it.
    behind = distances + 2 * epsilon(distances) * ops.abs(distances) + 1e-37
    is_negative = pairs.negatives > 0
    keys = ops.where(is_negative, distances, ops.where(pairs.positives > 0, behind, LARGE))
    order = ops.cast(ops.argsort(keys, axis=1), "int32")  # (B, N)
    weights = ops.take_along_axis(pairs.positives, order, axis=1)
    position = ops.cumsum(ops.ones_like(order), axis=1) - 1
    width = ops.shape(order)[1]
    here = ops.where(ops.take_along_axis(is_negative, order, axis=1), position, width)
    following = _suffix_minimum(here, width)
    next_negative = ops.take_along_axis(order, ops.minimum(following, width - 1), axis=1)
    farthest = ops.argmax(ops.where(is_negative, distances, -LARGE), axis=1)
    farthest = ops.cast(farthest, "int32")[:, None]
    return Triplets(order, ops.where(following < width, next_negative, farthest), weights)


def _suffix_minimum(matrix, width):
    """Smallest of each entry and all to its right, in log2(width) steps."""
    index = ops.cumsum(ops.ones_like(matrix[0])) - 1

    def double(shift, matrix):
        ahead = ops.take(matrix, ops.minimum(index + shift, width - 1), axis=1)
        return 2 * shift, ops.minimum(matrix, ahead)

    one = ops.ones_like(matrix[0, 0])
    return ops.while_loop(lambda shift, _: shift < width, double, (one, matrix))[1]
