"""Registration under a package of their own, so that these names never meet those of `keras_metric.losses`."""

import keras

PACKAGE = "keras_metric.compat.addons"

register = keras.saving.register_keras_serializable(package=PACKAGE)


def as_reduction(reduction):
    """A reduction of Keras 3; "auto" of Keras 2 meant the mean over rows."""
    return "sum_over_batch_size" if reduction == "auto" else reduction
