"""An encoder whose loss lives in a layer that sees the labels."""

import keras

from keras_metric.models.encoders import checked_encoder, embed, inputs_like


def with_memory(encoder, memory, num_classes=None):
    """A model from `[inputs, labels]` to embeddings, with the loss of an endpoint layer.

        trainer = with_memory(encoder, keras_metric.layers.CrossBatchMemory(4096, "contrastive"))
        trainer.compile("adam")
        trainer.fit(batches.map(lambda x, y: ((x, y),)))

    Add the labels as targets, `((x, y), y)`, if metrics such as `metrics.HitAtK` are wanted.

    Args:
        encoder: model or layer to embeddings (B, D); it becomes the layer named `encoder` and takes that name.
        memory: layer called on `(embeddings, labels)` that adds a loss and returns the embeddings:
            `layers.CrossBatchMemory` or `layers.LearnedBoundary`.
        num_classes: C of multi-hot labels (B, C) where the loss has `relation="overlap"`; None: class ids (B,).

    Returns:
        A functional `keras.Model` whose output is the embeddings; compile it without a loss.

    Raises:
        TypeError: if the encoder or the memory is no Keras layer.
        ValueError: if the encoder's input shape is unknown, or its output is not (B, D).
    """
    owner = "with_memory"
    encoder = checked_encoder(encoder, owner)
    if not isinstance(memory, keras.layers.Layer):
        raise TypeError(
            "`memory` of with_memory must be a layer such as layers.CrossBatchMemory(4096, loss). "
            f"Received: {memory!r} of type {type(memory).__name__}."
        )
    inputs = inputs_like(encoder, "inputs")
    if num_classes is None:
        # Keras' own default, float32, would merge large ids.
        labels = keras.Input((), dtype=_integers(), name="labels")
    else:
        labels = keras.Input((num_classes,), dtype="float32", name="labels")
    embeddings = embed(encoder, inputs, owner)
    return keras.Model([inputs, labels], memory([embeddings, labels]), name=owner)


def _integers():
    return "int32" if keras.backend.backend() == "jax" else "int64"
