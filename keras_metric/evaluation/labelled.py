"""Embeddings with one class a row and names for the classes, as pictures and reports take them."""

from typing import NamedTuple

import numpy as np

from keras_metric import checks, distances
from keras_metric.evaluation import rows
from keras_metric.evaluation.labels import encode


class Labelled(NamedTuple):
    """Checked embeddings.

    Attributes:
        embeddings: (N, D) float.
        codes: (N,) small integers, equal where the class is.
        vocabulary: the label of each code.
        names: the name of each code, for people.
        distance: the `Distance` between them.
    """

    embeddings: np.ndarray
    codes: np.ndarray
    vocabulary: list
    names: list
    distance: distances.Distance

    @property
    def unit(self):
        """Name of the distance, for people: "cosine"."""
        name = distances.DISTANCES.name_of(self.distance) or type(self.distance).__name__
        return name.replace("_", " ")


def labelled(embeddings, labels, distance, class_names, owner):
    """Checks what a picture or report is made of.

    Raises:
        ValueError: for other lengths, values that are not finite, several classes a row, fewer than 2 rows, labels
            without a name.
    """
    embeddings = rows.as_matrix(embeddings, "embeddings", owner)
    (classes,), vocabulary = encode([labels], ["labels"], owner)
    if classes.several:
        raise ValueError(f"`labels` of {owner} must hold one class a row. Received: several a row.")
    rows.same_length(embeddings, "embeddings", classes, "labels", owner)
    if len(embeddings) < 2:
        raise ValueError(f"`embeddings` of {owner} must have 2 or more rows. Received: 1.")
    names = _names(vocabulary, class_names, owner)
    return Labelled(embeddings, classes.codes, vocabulary, names, distances.get(distance))


def _names(vocabulary, class_names, owner):
    if class_names is None:
        return [str(label) for label in vocabulary]
    if isinstance(class_names, dict):
        return [str(class_names.get(label, label)) for label in vocabulary]
    positions = range(len(class_names))
    if not all(label in positions for label in vocabulary):
        checks.fail(
            "class_names",
            owner,
            "name every label as a position in it",
            f"{len(class_names)} names for the labels {vocabulary[0]!r} to {vocabulary[-1]!r}",
            "Give a dict {label: name} where labels are no positions.",
        )
    return [str(class_names[label]) for label in vocabulary]
