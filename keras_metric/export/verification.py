"""Checks an exported model against the encoder that it came from."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import ops, tree

from keras_metric import checks, distances
from keras_metric.export import card, cpp, process, sources, specs, versions

BATCHES = (1, 2, 5, 16, 33)
AT_ONCE = 1 << 16  # vectors of an index that are compared in float64 at a time


class VerificationError(ValueError):
    """An exported model gives something else than its encoder."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """What `verify` did and found; printing it tells it in a few lines.

    Attributes:
        path: the version folder.
        batches: sizes of the batches that every signature ran on.
        differences: largest difference found, by signature; relative to the largest entry where that is above 1.
        tolerance: the difference that was allowed.
        without: what the process without Keras reported.
        in_cpp: what the C++ program reported, or None.
    """

    path: object
    batches: tuple
    differences: dict
    tolerance: float
    without: process.WithoutKeras
    in_cpp: cpp.InCpp | None = None

    def __str__(self):
        blocked = " and ".join(name for name in ("keras", "keras_metric"))
        lines = [
            f"{self.path}: loaded by TensorFlow {self.without.tensorflow} in process {self.without.process}, "
            f"where importing {blocked} fails.",
            f"Batches of {', '.join(map(str, self.batches))} rows through every signature; "
            f"largest difference from the encoder (allowed: {self.tolerance:g}):",
        ]
        lines += [f"  {name:<24}{value:.1e}" for name, value in self.differences.items()]
        if self.in_cpp:
            lines.append(f"Also run from C++ ({self.in_cpp.compiler}), by its tag serve.")
        return "\n".join(lines)


def verify(path, encoder, inputs, tolerance=1e-5, preprocessing=None, index=None, run_cpp=False):
    """Proves that an exported model gives what the encoder gives.

    Runs every signature on batches of 1 to 33 rows, in a new process in which `keras` and `keras_metric` cannot
    be imported, and compares: embeddings with those of `encoder` here; distances, similarities and decisions with
    the distance and threshold of the model card; neighbours with a search through the whole corpus. Before that, every
    file must have the hash that stands in the model card.

    Args:
        path: version folder, or its parent for the highest version.
        encoder: the Keras encoder that was exported, or the path of its `.keras` file.
        inputs: batch of raw inputs, as `serving_default` takes them; repeated where there are fewer than 33 rows.
        tolerance: largest difference allowed; relative to the largest entry where that is above 1.
        preprocessing: what was exported with the encoder. None compares with the encoder behind the preprocessing of
            the exported model itself, so that only what comes after it is proved. One that the exported model lacks
            is found out.
        index: the exported `Index`, or its folder, which must be the same; None takes the embeddings out of the
            exported model.
        run_cpp: whether to run the same calls also from C++ (see `run_in_cpp`) and compare what they give.

    Returns:
        `Verification`, which prints as a short report.

    Raises:
        VerificationError: (a ValueError) if a file was changed, or something differs by more; names it.
        FileNotFoundError: if there is no SavedModel with a model card.
        RuntimeError: if it cannot be loaded or run without Keras, or from C++.
    """
    tolerance = checks.number(tolerance, "tolerance", "verify", at_least=0)
    folder = versions.version_folder(path)
    about = card.read(folder)
    _check_files(folder, about)
    encoder = sources.encoder_of(encoder, "verify")
    index = sources.index_of(index, "verify")
    nest = _nest_of(about, inputs)
    rows = specs.arrays_like(nest, inputs, "inputs", "verify")
    names = [spec.name for spec in tree.flatten(nest)]
    batches = [_rows(rows, size) for size in _sizes(nest)]

    calls = [call for batch in batches for call in _calls(about, names, batch)]
    wants_corpus = about["index"] is not None
    without = process.run_without_keras(
        folder, calls, ("corpus_vectors", "corpus_ids", "corpus_labels") if wants_corpus else ()
    )
    _check_blocked(without)
    if index is not None:
        _check_index(index, about, without.variables)
    checker = _Checker(tolerance)
    per_batch = len(calls) // len(batches)
    for number, batch in enumerate(batches):
        part = slice(number * per_batch, (number + 1) * per_batch)
        answers = {}
        for (signature, _), outputs in zip(calls[part], without.outputs[part], strict=True):
            answers.setdefault(signature, []).append(outputs)
        ready = _ready(nest, batch, preprocessing, answers, about)
        _compare(checker, len(batch[0]), encoder, ready, answers, about, index, without.variables)
    in_cpp = cpp.run_in_cpp(folder, calls) if run_cpp else None
    if in_cpp:
        _compare_cpp(checker, calls, without.outputs, in_cpp.outputs)
    sizes = tuple(len(batch[0]) for batch in batches)
    return Verification(folder, sizes, checker.largest, tolerance, without, in_cpp)


def _check_files(folder, about):
    changed = card.changed(folder, about)
    if changed:
        raise VerificationError(
            f"verify: {', '.join(changed[:3])} of {folder} is missing, or was changed after it was written. "
            "Export the encoder again."
        )


def _check_index(index, about, corpus):
    """The index that was given is the one in the exported model."""
    if about["index"] is None:
        raise VerificationError("verify: the exported model has no index, but one was given.")
    exported = {name: process.as_text(x) for name, x in corpus.items()}
    pairs = {
        "distance": (keras.saving.serialize_keras_object(index.distance), about["distance"]),
        "ids": (index.ids, exported["corpus_ids"]),
        "labels": (index.labels, exported.get("corpus_labels")),
        "embeddings": (np.asarray(index.vectors, "float32"), exported["corpus_vectors"]),
    }
    for name, (given, there) in pairs.items():
        if not np.array_equal(given, there):
            raise VerificationError(
                f"verify: the exported model has an index with other {name} than the one given."
            )


def _compare_cpp(checker, calls, expected, found):
    """Whether the calls gave the same in C++ as in the process without Keras."""
    for (signature, inputs), there, here in zip(calls, expected, found, strict=True):
        size, name = len(next(iter(inputs.values()))), f"{signature} in C++"
        checker.equal(name, size, "outputs", sorted(here), sorted(there))
        for output, x in there.items():
            if x.dtype.kind == "f":
                checker.close(name, size, here[output], x)
            else:
                checker.equal(name, size, output, here[output], x)


def _nest_of(about, inputs):
    """Named specs of `embed`, in the nesting of the inputs that were given."""
    takes = about["signatures"]["embed"]["inputs"]
    found = {
        name: tf.TensorSpec(one["shape"], one["dtype"], name=name) for name, one in takes.items()
    }
    if not tree.is_nested(inputs) or set(found) == {"inputs"}:
        if len(found) == 1:
            return next(iter(found.values()))
    elif isinstance(inputs, dict) and set(inputs) == set(found):
        return {name: found[name] for name in inputs}
    elif len(tree.flatten(inputs)) == len(found):
        return tree.pack_sequence_as(inputs, list(found.values()))
    raise ValueError(
        f"`inputs` of verify must hold {list(found)}. Received: {type(inputs).__name__}."
    )


def _sizes(nest):
    fixed = {spec.shape[0] for spec in tree.flatten(nest)} - {None}
    return tuple(fixed) or BATCHES


def _rows(rows, size):
    return [x[np.arange(size) % len(x)] for x in rows]


def _calls(about, names, batch):
    """Every signature on one batch; `similarity` between the batch and itself shifted by one row."""
    one = dict(zip(names, batch, strict=True))
    several = names != ["inputs"]
    shifted = [np.roll(x, 1, axis=0) for x in batch]
    pair = {
        (f"{side}_{name}" if several else side): x
        for side, arrays in (("a", batch), ("b", shifted))
        for name, x in zip(names, arrays, strict=True)
    }
    for signature in ("serving_default", *about["signatures"]):
        yield signature, pair if signature == "similarity" else one


def _check_blocked(without):
    open_doors = [name for name in ("keras", "keras_metric") if not without.refused[name]]
    if open_doors:
        raise RuntimeError(
            f"The process of verify could import {open_doors}, so it proves nothing."
        )


def _ready(nest, batch, preprocessing, answers, about):
    """What the encoder itself takes: raw inputs, preprocessed here or, if that is not known, there."""
    raw = tree.pack_sequence_as(nest, batch)
    if preprocessing is not None:
        return preprocessing(tree.map_structure(tf.constant, raw))
    if not about["preprocessing"]:
        return raw
    outputs = answers["preprocess"][0]
    return next(iter(outputs.values())) if set(outputs) == {"inputs"} else outputs


def _compare(checker, size, encoder, ready, answers, about, index, corpus):
    expected = embed(encoder, ready)
    served = answers["embed"][0]["embedding"]
    for signature in ("serving_default", "embed"):
        checker.close(signature, size, answers[signature][0]["embedding"], expected)
    _compare_pairs(checker, size, served, answers["similarity"][0], about)
    if "search" in answers:
        _compare_neighbours(checker, size, served, answers, about, index, corpus)


def embed(encoder, ready):
    """Embeddings of an encoder here, float32, of inputs that it takes."""
    ready = tree.map_structure(_for_this_backend, ready)
    if isinstance(ready, dict) and isinstance(getattr(encoder, "input", None), list | tuple):
        names = [x.name for x in encoder.input]
        ready = (
            [ready[name] for name in names] if set(names) == set(ready) else list(ready.values())
        )
    x = encoder(ready, training=False)
    return np.asarray(ops.convert_to_numpy(ops.cast(x, "float32")))


def _for_this_backend(x):
    x = x.numpy() if isinstance(x, tf.Tensor) else x
    if isinstance(x, np.ndarray) and x.dtype.kind in "OSU":
        return tf.constant(x)
    return ops.convert_to_tensor(x)


def _compare_pairs(checker, size, served, pairs, about):
    # From the served embeddings: an arc cosine near 1 would blow up differences in their last digits.
    distance = distances.get(about["distance"])
    expected = distance.between(served, np.roll(served, 1, axis=0))
    similarity = ops.convert_to_numpy(distance.similarity(expected))
    expected = ops.convert_to_numpy(expected)
    # Where the distance itself is as steep, as arccos is at 1, it is its similarity that must agree.
    if distance.bounded:
        checker.close("similarity", size, pairs["similarity"], similarity)
    else:
        checker.close("similarity", size, pairs["distance"], expected)
        checker.close("similarity", size, pairs["similarity"], similarity)
    if about["threshold"] is not None:
        same = pairs["distance"].astype("float64") <= about["threshold"]
        checker.equal("similarity", size, "same", pairs["same"], same)


def _compare_neighbours(checker, size, served, answers, about, index, corpus):
    found = {name: process.as_text(x) for name, x in answers["search"][0].items()}
    vectors = corpus["corpus_vectors"] if index is None else np.asarray(index.vectors)
    ids = process.as_text(corpus["corpus_ids"]) if index is None else index.ids
    distance = distances.get(about["distance"])
    k = about["index"]["k"]
    nearest = _nearest(distance, served, vectors, k)
    place = {value: row for row, value in enumerate(ids.tolist())}
    rows = np.array([[place[value] for value in row] for row in found["ids"].tolist()])
    pairs = [x.astype("float64") for x in (np.repeat(served, k, axis=0), vectors[rows.ravel()])]
    to_found = ops.convert_to_numpy(distance.between(*pairs)).reshape(rows.shape)
    checker.close("search", size, found["distances"], to_found)
    # Ids may differ from a plain search only where the distances are the same.
    slack = np.sqrt(1e-7) if about["distance"]["class_name"] in _ROOTED else 1e-6
    checker.close("search", size, np.sort(to_found, axis=1), nearest, atol=slack)
    if "labels" in found:
        labels = process.as_text(corpus["corpus_labels"]) if index is None else index.labels
        checker.equal("search", size, "labels", found["labels"], labels[rows])
    if "match" in answers:
        _compare_matches(checker, size, found, answers["match"][0], about["threshold"])


def _nearest(distance, served, vectors, k):
    """The k smallest distances (B, k) to all vectors, in float64 where the backend has it."""
    nearest = np.empty((len(served), 0))
    for start in range(0, len(vectors), AT_ONCE):
        part = [x.astype("float64") for x in (served, vectors[start : start + AT_ONCE])]
        found = ops.convert_to_numpy(distance.pairwise(*part))
        nearest = np.sort(np.concatenate([nearest, found], axis=1), axis=1)[:, :k]
    return nearest


# A product form gives these a distance near zero to half the digits only.
_ROOTED = ("EuclideanDistance", "AngularDistance", "PoincareDistance")


def _compare_matches(checker, size, found, match, threshold):
    match = {name: process.as_text(x) for name, x in match.items()}
    matched = found["distances"][:, 0].astype("float64") <= threshold
    checker.close("match", size, match["distances"], found["distances"][:, 0])
    checker.equal("match", size, "matched", match["matched"], matched)
    for name in {"ids", "labels"} & set(match):
        nothing = "" if found[name].dtype.kind == "U" else -1
        checker.equal(
            "match", size, name, match[name], np.where(matched, found[name][:, 0], nothing)
        )


class _Checker:
    """Keeps the largest difference of each signature; raises at one that is too large."""

    def __init__(self, tolerance):
        self.tolerance = tolerance
        self.largest = {}

    def close(self, signature, size, found, expected, atol=0.0):
        found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
        if found.shape != expected.shape:
            raise VerificationError(
                f"verify: {signature} gives shape {found.shape} for {size} rows; expected {expected.shape}."
            )
        scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
        # NaN where NaN is expected is no difference; anywhere else it is one.
        gaps = np.where(np.isnan(found) & np.isnan(expected), 0.0, np.abs(found - expected)) / scale
        gap = float(np.max(np.nan_to_num(gaps, nan=np.inf), initial=0.0))
        if atol == 0.0:
            self.largest[signature] = max(gap, self.largest.get(signature, 0.0))
        if gap > max(self.tolerance, atol):
            raise VerificationError(
                f"verify: {signature} differs by {gap:.3g} on {size} rows; tolerance is {self.tolerance:g}. "
                "Was it exported from this encoder, with these weights?"
            )

    def equal(self, signature, size, name, found, expected):
        self.largest.setdefault(signature, 0.0)
        if not np.array_equal(found, expected):
            raise VerificationError(f"verify: `{name}` of {signature} is wrong on {size} rows.")
