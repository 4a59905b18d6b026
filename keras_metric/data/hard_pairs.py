"""Pairs whose negatives are the nearest of other classes."""

from keras_metric.data.hard_negatives import make_hard
from keras_metric.data.pairs import drawn_pairs

_OWNER = "hard_pairs"


def hard_pairs(
    x,
    y,
    embeddings=None,
    batch_size=32,
    positive_fraction=0.5,
    rank_window=(0, 10),
    margin=None,
    distance="cosine",
    seed=None,
    steps_per_epoch=None,
    map_fn=None,
    start_step=0,
    shard=None,
    group=None,
    class_weights=None,
    min_examples_per_class=1,
    on_error="raise",
):
    """`pairs` with hard negatives, found among all examples by exact search.

    Positive pairs and the first of each negative pair are as in `pairs`; examples for which no negative is left get
    random ones. Do not `repeat()` the dataset: what is renewed is seen from the next epoch on.

    Args:
        x, y: see `pairs`.
        embeddings: floats (N, D) of all rows; None: negatives are random until `callbacks.RefreshHardNegatives`, or
            `dataset.hard_negatives.update(embeddings)`, has found hard ones.
        batch_size: pairs a batch.
        positive_fraction: share of positive pairs, in [0, 1].
        rank_window: `(first, stop)`: an anchor's negatives are uniform over those of its nearest examples of other
            classes with these ranks, 0 for the nearest. A first above 0 passes over the very nearest, which are often
            mislabelled.
        margin: against false negatives: an example counts only if it is farther from the anchor than the anchor's
            nearest positive by this much, in units of the distance; it may be negative. None: all count.
        distance: `"cosine"` or `"euclidean"`.
        seed, steps_per_epoch, map_fn, start_step, shard, group, class_weights, min_examples_per_class, on_error: of
            `pairs`. Hard negatives are of other groups as well. With `RefreshHardNegatives` leave augmentation to the
            model: `map_fn` also loads what is embedded.

    Returns:
        `tf.data.Dataset` as of `pairs`, with the attribute `hard_negatives`.
    """
    return drawn_pairs(
        x, y, _OWNER, batch_size, positive_fraction, seed, steps_per_epoch, map_fn, start_step, shard, on_error,
        hard=make_hard(embeddings, rank_window, margin, distance, _OWNER),
        group=group, class_weights=class_weights, min_examples_per_class=min_examples_per_class,
    )  # fmt: skip
