"""Semi-hard negatives."""

from keras import ops

from keras_metric.miners.base import MINERS, Miner, Pairs, Triplets, all_pairs, sums_of_chosen
from keras_metric.tensors.masked import any_weight
from keras_metric.tensors.numerics import LARGE, epsilon
from keras_metric.tensors.positives import (
    FEW,
    at_columns,
    column_of,
    farthest_of,
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

        find = nearest_beyond(distances, pairs.negatives > 0)

        def step(k, state):
            chosen = find(pick(distances, column_of(columns, k)))
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


def _choose_by_passes(distances, pairs, most):
    positives, weights = positive_columns(pairs.positives, few=True)

    find = nearest_beyond(distances, pairs.negatives > 0)

    def step(k, state):
        return (put_column(state[0], k, find(pick(distances, column_of(positives, k)))),)

    negatives = for_each_positive(step, most, (ops.zeros_like(positives, dtype="int32"),))[0]
    return Triplets(positives, negatives, weights)


def _choose_by_sorting(distances, pairs):
    # A negative that equals the positive is not beyond it: the positive moves behind it.
    behind = distances + 2 * epsilon(distances) * ops.abs(distances) + 1e-37
    is_negative = pairs.negatives > 0
    keys = ops.where(is_negative, distances, ops.where(pairs.positives > 0, behind, LARGE))
    order = ops.cast(ops.argsort(keys, axis=1), "int32")  # (B, N)
    signed = at_columns(pairs.positives - pairs.negatives, order)
    position = ops.cumsum(ops.ones_like(order[:1]), axis=1) - 1  # (1, N)
    width = ops.shape(order)[1]
    here = ops.where(signed < 0, position, width)
    following = _suffix_minimum(here, width)
    next_negative = at_columns(order, ops.minimum(following, width - 1))
    farthest = farthest_of(distances, is_negative)
    negatives = ops.where(following < width, next_negative, farthest[:, None])
    return Triplets(order, negatives, ops.relu(signed))


def _suffix_minimum(matrix, width):
    """Smallest of each entry and all to its right, in log2(width) steps."""
    index = ops.cumsum(ops.ones_like(matrix[0])) - 1

    def double(shift, matrix):
        ahead = ops.take(matrix, ops.minimum(index + shift, width - 1), axis=1)
        return 2 * shift, ops.minimum(matrix, ahead)

    one = ops.ones_like(matrix[0, 0])
    return ops.while_loop(lambda shift, _: shift < width, double, (one, matrix))[1]
