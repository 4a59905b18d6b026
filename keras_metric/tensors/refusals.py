"""Refusing values of a tensor, as far as they can be seen."""

import keras
from keras import ops

from keras_metric import checks


def refuse_values(wrong, values, argument, owner, rule, way_out=""):
    """Raises a ValueError if any entry is wrong: eagerly now, or while a TensorFlow graph runs.

    Args:
        wrong: boolean (B,).
        values: what is wrong or right, (B,), for the message.
        argument, owner, rule, way_out: as in `checks.fail`.

    Returns:
        Whether the values could be looked at now. Where they could not, as under XLA, the caller may make them NaN.
    """
    if checks.is_concrete(wrong):
        seen = ops.convert_to_numpy(wrong)
        if seen.any():
            checks.fail(
                argument, owner, rule, ops.convert_to_numpy(values)[seen][0].item(), way_out
            )
        return True
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # only a graph of TensorFlow can check values while it runs

        message = f"`{argument}` of {owner} must {rule}. {way_out}".rstrip()
        tf.debugging.Assert(tf.logical_not(tf.reduce_any(wrong)), [message, values])
    return False
