"""An encoder with class proxies on it, for training."""

import keras

from keras_metric.layers import ProxySimilarity
from keras_metric.models.encoders import checked_encoder, embed, inputs_like


def with_proxies(
    encoder,
    num_classes,
    centers_per_class=1,
    pooling="max",
    gamma=0.1,
    return_norms=False,
    learning_rate_multiplier=1.0,
):
    """A model from inputs to cosines with learned class proxies, as the proxy losses take them.

        trainer = with_proxies(encoder, num_classes=100)
        trainer.compile("adam", loss=keras_metric.losses.ArcFaceLoss(), metrics=["sparse_categorical_accuracy"])
        trainer.fit(x, y)

    The encoder is trained along; evaluate, index and export the encoder, and leave the proxies behind.

    Args:
        encoder: model or layer to embeddings (B, D); it becomes the layer named `encoder` and takes that name.
        num_classes, centers_per_class, pooling, gamma, return_norms, learning_rate_multiplier: as in
            `layers.ProxySimilarity`, the layer named `proxies`.

    Returns:
        A functional `keras.Model` with the encoder's inputs and the output (B, C); (B, C + 1) with `return_norms`.

    Raises:
        TypeError: if the encoder is no Keras layer.
        ValueError: if its input shape is unknown, or its output is not (B, D).
    """
    owner = "with_proxies"
    encoder = checked_encoder(encoder, owner)
    inputs = inputs_like(encoder, None)
    embeddings = embed(encoder, inputs, owner)
    head = ProxySimilarity(
        num_classes,
        centers_per_class,
        pooling,
        gamma,
        return_norms,
        learning_rate_multiplier,
        name="proxies",
    )
    return keras.Model(inputs, head(embeddings), name=owner)
