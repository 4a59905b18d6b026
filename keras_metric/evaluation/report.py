"""`evaluation.report`: a page that shows what an encoder tells apart and what not, and its numbers as JSON."""

import contextlib
import json
import math
import platform
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.evaluation import rows
from keras_metric.evaluation.labelled import labelled
from keras_metric.evaluation.reporting import findings
from keras_metric.evaluation.reporting.embedded import embedded
from keras_metric.evaluation.reporting.items import items_of
from keras_metric.evaluation.reporting.page import page
from keras_metric.evaluation.reporting.writing import write_text

OWNER = "report"


def report(
    encoder,
    data,
    path,
    *,
    class_names=None,
    distance: str | Distance = "cosine",
    items=None,
    origins=None,
    show="auto",
    sample_rate=None,
    title="Evaluation report",
    k=8,
    replicates=500,
    map="auto",
    batch_size=256,
    seed=0,
) -> dict:
    """Judges an encoder and writes what it finds as one HTML page, and its numbers as JSON beside it.

        evaluation.report(encoder, (x_test, y_test), "report.html", class_names=names)

    The page stands alone: it loads nothing, needs no JavaScript (with it, tables can be sorted), and has a light and
    a dark look. It shows figures of retrieval and verification with 95 % intervals (bootstrap by class), the worst and
    the best queries with their neighbours, ROC and DET curve, distances of pairs, hit@k, a table of classes, the most
    frequent confusions, and a map of the embeddings. What is drawn from a larger set says so.

    Args:
        encoder: Keras model, or its layer `encoder` if it has one. None: the inputs are embeddings.
        data: tuple `(x, y)`, or an iterable of batches `(x, y)`, as a `tf.data.Dataset`, that ends. `y` is one class a
            row: integers or text.
        path: of the page, `….html`; the JSON gets the same name with `.json`. Both are written whole or not at all.
        class_names: list by label, or dict {label: name}; None: the labels themselves.
        distance: name or `Distance`.
        items: what to show of each row, where that is not the input: N images, waveforms, or texts.
        origins: N texts that name the rows on the page, as their files do. None: their numbers.
        show: `"auto"`: images, texts, and lists of waveforms of several lengths are recognised. Or `"images"`,
            `"sounds"` (waveforms, shown as spectrograms), `"spectrograms"` (time × frequency), `"texts"`, `"nothing"`.
        sample_rate: of waveforms, in samples a second. With it, the first 2 seconds of each query and of its 3 nearest
            neighbours can be heard. None: sounds are seen only.
        title: of the page.
        k: neighbours shown of a query.
        replicates: draws of the bootstrap.
        map: `"tsne"`, `"pca"`, or `"auto"`: t-SNE where scikit-learn is installed.
        batch_size: for arrays.
        seed: of all that is drawn.

    Returns:
        dict: what the JSON says.

    Raises:
        ImportError: without Matplotlib and Pillow (extra `plots`).
        ValueError: for data that do not fit, values that are not finite, or an unknown option.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        checks.fail("path", OWNER, "end in .html", str(path))
    k = checks.whole(k, "k", OWNER)
    replicates = checks.whole(replicates, "replicates", OWNER)
    given = embedded(encoder, data, batch_size)
    shown = labelled(given.embeddings, given.labels, distance, class_names, OWNER)
    inputs = given.inputs if items is None else items
    pictured = items_of(inputs, show, len(shown.codes), sample_rate)
    if origins is not None:
        rows.same_length(shown.codes, "labels", origins, "origins", OWNER)
    found = findings.find(shown, k, replicates, map, seed)
    told = _plain(findings.told(found, title, replicates, versions()))
    _name_rows(told, origins)
    text = page(told, found, pictured)
    numbers = json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_text({path: text, path.with_suffix(".json"): numbers})
    return told


def _name_rows(told, origins):
    """Adds the origin to each query, neighbour and confusion."""
    for query in told["queries"]["worst"] + told["queries"]["best"]:
        for one in (query, *query["neighbors"]):
            one["origin"] = _origin(one["row"], origins)
    for one in told["confused"]:
        one["origins"] = [_origin(row, origins) for row in one["example"]]


def _origin(row, origins):
    return f"row {row}" if origins is None else str(origins[row])


def versions():
    """What a report was made with."""
    found = {}
    for package in ("keras-metric", "keras", "numpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return {**found, "backend": keras.backend.backend(), "python": platform.python_version()}


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
