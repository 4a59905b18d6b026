"""The hardest negatives of every example: exact neighbours of other classes, in tiles."""

import numpy as np
import tensorflow as tf

_QUERIES = 1024  # rows of a tile
_REFERENCES = 8192  # columns of a tile


def hardest_negatives(embeddings, table, units, window, margin, distance):
    """For every example the nearest ones of other classes (and groups), by rank.

    Args:
        embeddings: float32 (N, D).
        table: `ClassTable`; rows that are not in it are neither anchors nor negatives.
        units: `Units` of the groups, or None.
        window: ranks `(first, stop)` that are kept, 0 for the nearest.
        margin: an example counts as a negative of an anchor only if it is farther than the anchor's nearest positive
            by this; None: all count.
        distance: "cosine" or "euclidean".

    Returns:
        `(rows (N, stop − first) int32, counts (N,) int32)`: of each row the first `counts` entries are negatives, the
        nearest first.
    """
    first, stop = window
    order = table.order
    with tf.device("/CPU:0"):
        x = tf.constant(embeddings[order], tf.float32)
        x = tf.math.l2_normalize(x, axis=1, epsilon=1e-24) if distance == "cosine" else x
        squares = None if distance == "cosine" else tf.reduce_sum(x * x, axis=1)
        dense = np.repeat(np.arange(len(table.sizes)), table.sizes)
        begin, end = table.starts[dense], table.starts[dense] + table.sizes[dense]
        group = None if units is None else tf.constant(units.group[units.of_position], tf.int32)
        found = np.zeros((len(table.ids), stop - first), "int32")
        counts = np.zeros(len(table.ids), "int32")
        for start in range(0, len(order), _QUERIES):
            tile = slice(start, min(start + _QUERIES, len(order)))
            own = tf.constant(begin[tile, None], tf.int32), tf.constant(end[tile, None], tf.int32)
            limit = None
            if margin is not None:
                limit = _limit(
                    x, squares, group, tile, begin[start], end[tile.stop - 1], own, margin
                )
            near, there = _nearest(x, squares, group, tile, own, limit, min(stop, len(order)))
            near, there = near[:, first:], there[:, first:]
            found[order[tile], : near.shape[1]] = order[near]
            counts[order[tile]] = there.sum(axis=1)
    return found, counts


def _similarities(x, squares, tile, columns):
    """Larger is nearer: cosine, or minus the squared Euclidean distance."""
    products = tf.matmul(x[tile], x[columns], transpose_b=True)
    if squares is None:
        return products
    return 2 * products - squares[tile][:, None] - squares[columns][None]


def _limit(x, squares, group, tile, begin, end, own, margin):
    """The largest similarity (queries, 1) that a negative may have; infinite without a positive."""
    columns = slice(int(begin), int(end))
    similarities = _similarities(x, squares, tile, columns)
    place = tf.range(columns.start, columns.stop)[None]
    positive = (
        (place >= own[0]) & (place < own[1]) & (place != tf.range(tile.start, tile.stop)[:, None])
    )
    if group is not None:
        positive &= group[tile][:, None] != group[columns][None]
    best = tf.reduce_max(tf.where(positive, similarities, -np.inf), axis=1, keepdims=True)
    if squares is None:
        limit = best - margin
    else:
        reach = tf.sqrt(tf.maximum(-best, 0)) + margin
        limit = tf.where(reach > 0, -reach * reach, np.inf)
    return tf.where(tf.math.is_finite(best), limit, np.inf)


def _nearest(x, squares, group, tile, own, limit, count):
    """Positions (queries, count) of the nearest allowed examples, and which of them are some."""
    queries = tile.stop - tile.start
    best = tf.fill((queries, count), -np.inf)
    where = tf.zeros((queries, count), tf.int32)
    for start in range(0, x.shape[0], _REFERENCES):
        columns = slice(start, min(start + _REFERENCES, x.shape[0]))
        similarities = _similarities(x, squares, tile, columns)
        place = tf.range(columns.start, columns.stop)[None]
        allowed = (place < own[0]) | (place >= own[1])
        if limit is not None:
            allowed &= similarities <= limit
        if group is not None:
            allowed &= group[tile][:, None] != group[columns][None]
        part, at = tf.math.top_k(
            tf.where(allowed, similarities, -np.inf), min(count, columns.stop - columns.start)
        )
        both = tf.concat([best, part], axis=1)
        both_where = tf.concat([where, at + start], axis=1)
        best, chosen = tf.math.top_k(both, count)
        where = tf.gather(both_where, chosen, batch_dims=1)
    return where.numpy(), np.isfinite(best.numpy())
