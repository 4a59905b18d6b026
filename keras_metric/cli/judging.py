"""One row of figures for a set of embeddings: how well neighbours and distances tell classes apart."""

import numpy as np

from keras_metric import evaluation
from keras_metric.models.encoders import encoder_of

HEADINGS = {
    "hit@1": "hit@1",
    "map@r": "MAP@R",
    "eer": "EER",
    "threshold": "threshold",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
}
COLUMNS = ["", *HEADINGS.values()]


def judge(embeddings, labels):
    """Figures of retrieval within a set, and of telling same from different pairs, by cosine distance.

    The threshold is that of the best F1 over all pairs.

    Returns:
        dict with the keys of `HEADINGS`, floats.
    """
    ranked = evaluation.retrieval(embeddings, labels, metrics=("hit@1", "map@r"))
    # Of all pairs few are the same: by accuracy, a threshold would do best to accept next to none.
    pairs = evaluation.verification_from_embeddings(embeddings, labels, strategy="f1")
    return {name: float((ranked if name in ranked else pairs)[name]) for name in HEADINGS}


def row(figures):
    """The figures in the order of `COLUMNS`."""
    return [figures[name] for name in HEADINGS]


def flat(x):
    """Raw inputs as rows of numbers, to compare an encoder with."""
    return np.asarray(x, "float32").reshape(len(x), -1)


def embed(model, x, batch_size=256):
    """Embeddings (N, D) by the model, or by its layer `encoder` if it has one."""
    return np.asarray(encoder_of(model).predict(x, batch_size=batch_size, verbose=0))
