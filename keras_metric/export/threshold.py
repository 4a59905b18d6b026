"""The decision "same or not" in the graph of an exported model."""

import tensorflow as tf


def within(distances, largest):
    """distances ≤ largest, both in float64: rounded to float32, a threshold may pass a distance beyond it."""
    return tf.cast(distances, tf.float64) <= tf.constant(largest, tf.float64)
