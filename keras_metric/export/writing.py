"""Writes an encoder as a SavedModel with signatures."""

import keras

from keras_metric import checks, distances
from keras_metric.export import archive, card, elsewhere, sources, versions


def saved_model(
    encoder,
    path,
    preprocessing=None,
    index=None,
    threshold=None,
    version=None,
    warmup=None,
    distance: str | distances.Distance = "cosine",
    k=10,
    input_signature=None,
    overwrite=False,
    metrics=None,
):
    """Writes `path/<version>/`, a SavedModel that TensorFlow and TensorFlow Serving run without Keras.

    Signatures, all with a free batch size B:

        serving_default = embed   inputs → embedding (B, D)
        similarity                a, b → distance (B,), similarity (B,); same (B,) with a threshold
        search                    inputs → distances (B, k), ids (B, k), labels (B, k); with an index
        match                     inputs → ids, labels, distances, matched, each (B,); with an index and a threshold
        preprocess                inputs → what the encoder gets; with preprocessing

    An encoder of several inputs takes each by its name instead of `inputs` (`similarity`: `a_<name>`, `b_<name>`).
    Embeddings of float16 and bfloat16 become float32. `labels` are there if the index has labels.

    The folder also holds `model_card.json` (distance, threshold, metrics, labels, versions, hashes) and, with `warmup`,
    `assets.extra/tf_serving_warmup_requests`. It is written under another name and renamed when it is complete: a
    server that watches `path` never sees half a model, and a failure leaves everything that was there.

    On the JAX and PyTorch backends the encoder goes through a `.keras` file into a process with the TensorFlow backend;
    its own classes are imported there from their modules.

    Args:
        encoder: Keras model or layer that gives embeddings (B, D), or the path of a `.keras` file.
        path: folder of the versions.
        preprocessing: callable on TensorFlow's tensors, Keras layer or model, from raw inputs to the encoder's inputs,
            or None. Tables, layers and variables that it uses are saved with it.
        index: `keras_metric.index.Index` of embeddings of this encoder, or the folder of a saved one. Its distance
            takes the place of `distance`.
        threshold: largest distance of what counts as the same, or None.
        version: number >= 1; None takes the number after the highest that is there.
        warmup: batch of raw inputs that TensorFlow Serving runs through every signature before it serves.
        distance: name or `Distance` of `similarity`.
        k: neighbours that `search` gives; at most the size of the index.
        input_signature: `tf.TensorSpec` of the raw inputs with its batch axis, or a list or dict of them; by default
            those of a preprocessing `tf.function`, `EncodedImages` or Keras model, else, with preprocessing, those of
            `warmup`, else the encoder's.
        overwrite: whether to replace the version if it is there.
        metrics: dict of figures for the model card.

    Returns:
        Path of the version folder.

    Raises:
        FileExistsError: if the version is there and `overwrite` is false.
        TypeError, ValueError: for arguments that do not fit each other, before anything is written.
    """
    path = versions.checked_path(path)
    number = versions.chosen(path, version, overwrite)
    checks.whole(k, "k", "saved_model")
    if threshold is not None:
        threshold = checks.number(threshold, "threshold", "saved_model")
    if preprocessing is not None and not callable(preprocessing):
        raise TypeError(
            "`preprocessing` of saved_model must be a callable from raw inputs to the encoder's. "
            f"Received: {preprocessing!r} of type {type(preprocessing).__name__}."
        )
    distance = distances.get(distance)
    card.checked_metrics(metrics)
    with versions.written_aside(path, number, overwrite) as folder:
        settings = {
            "threshold": threshold,
            "distance": keras.saving.serialize_keras_object(distance),
            "k": k,
            "name": path.resolve().name,
            "metrics": metrics,
        }
        if keras.backend.backend() == "tensorflow":
            encoder = sources.encoder_of(encoder)
            index = sources.index_of(index)
            archive.write(folder, encoder, preprocessing, index, warmup, input_signature, settings)
        else:
            elsewhere.write(
                folder, encoder, preprocessing, index, warmup, input_signature, settings
            )
    return path / str(number)
