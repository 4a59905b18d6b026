"""Two random views of every example, as SimCLR trains on."""

import inspect

import tensorflow as tf


def two_views(dataset, augment):
    """Batches of 2B rows, two views of each of B examples, and ids that say which belong together.

    With `NTXentLoss` this is SimCLR. Labels, where the dataset has them, are left out.

    Args:
        dataset: batched `tf.data.Dataset` of x or `(x, y)`.
        augment: function or Keras layer from a batch to a batch, called twice, in training mode where it knows one. It
            runs inside tf.data: on the JAX and PyTorch backends Keras allows there its preprocessing layers
            (`keras.layers.RandomFlip`, …, several as `keras.layers.Pipeline`); other layers only on TensorFlow.

    Returns:
        `tf.data.Dataset` of `(views (2B, …), ids (2B,))`, ids int64 0 … B−1 twice.

    References:
        Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
        arXiv:2002.05709, algorithm 1.
    """
    if not callable(augment):
        raise TypeError(
            f"`augment` of two_views must be a function or a layer. Received: {augment!r}."
        )
    training = {"training": True} if _knows_training(augment) else {}

    def views(*element):
        x = element[0]
        try:
            both = [augment(x, **training) for _ in range(2)]
        except NotImplementedError as error:  # NumPy was to take a tensor of the graph
            raise TypeError(
                f"`augment` of two_views must run inside tf.data. Received: {augment!r}, which does not on this "
                "backend. Use TensorFlow functions, or Keras' preprocessing layers such as RandomFlip, several of them "
                "as keras.layers.Pipeline."
            ) from error
        ids = tf.range(tf.shape(tf.nest.flatten(x)[0], out_type=tf.int64)[0], dtype=tf.int64)
        rows = tf.nest.flatten(x)[0].shape[0]
        ids = tf.ensure_shape(tf.concat([ids, ids], axis=0), (2 * rows if rows else None,))
        stacked = tf.nest.map_structure(lambda a, b: tf.concat([a, b], axis=0), *both)
        return stacked, ids

    return dataset.map(views, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _knows_training(augment):
    call = augment.call if hasattr(augment, "call") else augment
    try:
        names = inspect.signature(call).parameters
    except (TypeError, ValueError):
        return False
    return "training" in names
