"""Semi-hard negatives."""

from keras import ops

from keras_metric.miners.base import MINERS, Miner, Pairs, Triplets, all_pairs
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
    spread,
)
from keras_metric.tensors.triplet_sums import (
    TripletSums,
    slope_of_terms,
    sums_of_triplets,
)


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
        pairs = all_pairs(relations)
        positives = pairs.positives * any_weight(pairs.negatives)[:, None]
        swap = reference_distances is not None
        references = reference_distances if swap else distances[:1, :1]
        # TensorFlow differentiates a branch by keeping all that is in it; these branches give the slopes themselves.
        function = ops.custom_gradient(lambda *args: _sums(*args, margin=margin, swap=swap))
        sums_and_active = function(distances, references, positives, pairs.negatives)  # (B, 2)
        counts = ops.sum(positives, axis=1)
        return TripletSums(sums_and_active[:, 0], counts, ops.stop_gradient(sums_and_active[:, 1]))


def _sums(distances, references, positives, negatives, margin, swap):
    """Sums of terms and weights of the active ones, (B, 2), with their gradient."""
    most = most_positives(positives)
    size, width = ops.shape(references)

    def of_chosen(then):
        pairs = Pairs(positives, negatives)
        return ops.cond(
            most <= FEW,
            lambda: then(_choose_by_passes(distances, pairs, most)),
            lambda: then(_choose_by_sorting(distances, pairs)),
        )

    def distances_of(triplets):
        """Distances (B, M) to the positives and negatives, and which of these are swapped: from the positive."""
        positive = at_columns(distances, triplets.positives)
        negative = at_columns(distances, triplets.negatives)
        if not swap:
            return positive, negative, False
        between = ops.take(ops.reshape(references, (-1,)), between_of(triplets))
        return positive, ops.minimum(negative, between), between < negative

    def between_of(triplets):
        """Flat indices (B, M) of the distances from positives to negatives."""
        return triplets.positives * width + triplets.negatives

    def slopes_of(triplets, positive, negative):
        return triplets.weights * slope_of_terms(positive, negative, margin)

    def sums_and_slopes(triplets):
        positive, negative, swapped = distances_of(triplets)
        sums, _, active = sums_of_triplets(positive, negative, triplets.weights, margin)
        slopes = slopes_of(triplets, positive, negative)
        to_anchor = ops.where(swapped, ops.zeros_like(slopes), slopes)
        by_distance = spread(slopes, triplets.positives, distances) - spread(
            to_anchor, triplets.negatives, distances
        )
        return ops.stack([sums, active], axis=1), by_distance

    def slopes_by_references(triplets, by_sums):
        positive, negative, swapped = distances_of(triplets)
        slopes = by_sums * slopes_of(triplets, positive, negative)
        moved = ops.reshape(ops.where(swapped, -slopes, ops.zeros_like(slopes)), (-1,))
        flat = ops.reshape(between_of(triplets), (-1,))
        return ops.reshape(ops.segment_sum(moved, flat, size * width), (size, width))

    sums_and_active, slopes = of_chosen(sums_and_slopes)

    def gradient(*args, upstream=None):
        by_sums = (args[0] if upstream is None else upstream)[:, :1]
        by_reference = ops.zeros_like(references)
        if swap:  # chosen again: which distance a slope belongs to is not kept
            by_reference = of_chosen(lambda triplets: slopes_by_references(triplets, by_sums))
        zeros = ops.zeros_like(distances)
        return by_sums * slopes, by_reference, zeros, zeros

    return sums_and_active, gradient


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
