"""Triplets whose negatives are the nearest of other classes."""

from keras_metric.data.hard_negatives import make_hard
from keras_metric.data.triplets import drawn_triplets

_OWNER = "hard_triplets"


def hard_triplets(
    x,
    y,
    embeddings=None,
    batch_size=32,
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
    """`triplets` with hard negatives, found among all examples by exact search.

    Anchors and positives are as in `triplets`; anchors for which no negative is left get random ones. Do not `repeat()`
    the dataset: what is renewed is seen from the next epoch on.

    Args:
        x, y: see `triplets`.
        embeddings: floats (N, D) of all rows; None: negatives are random until `callbacks.RefreshHardNegatives`, or
            `dataset.hard_negatives.update(embeddings)`, has found hard ones.
        batch_size: triplets a batch.
        rank_window: `(first, stop)`: an anchor's negatives are uniform over those of its nearest examples of other
            classes with these ranks, 0 for the nearest. A first above 0 passes over the very nearest, which are often
            mislabelled.
        margin: against false negatives: an example counts only if it is farther from the anchor than the anchor's
            nearest positive by this much, in units of the distance; it may be negative. None: all count.
        distance: `"cosine"` or `"euclidean"`.
        seed, steps_per_epoch, map_fn, start_step, shard, group, class_weights, min_examples_per_class, on_error: of
            `triplets`. Hard negatives are of other groups too. With `RefreshHardNegatives` leave augmentation to the
            model: `map_fn` also loads what is embedded.

    Returns:
        `tf.data.Dataset` as of `triplets`, with the attribute `hard_negatives`.

    Example:
        train = data.hard_triplets(images, labels, batch_size=64, rank_window=(1, 20), margin=0.0, seed=1)
        model.fit(train, epochs=20, callbacks=[callbacks.RefreshHardNegatives(train, every=2)])
    """
    return drawn_triplets(
        x, y, _OWNER, batch_size, seed, steps_per_epoch, map_fn, start_step, shard, on_error,
        hard=make_hard(embeddings, rank_window, margin, distance, _OWNER),
        group=group, class_weights=class_weights, min_examples_per_class=min_examples_per_class,
    )  # fmt: skip
