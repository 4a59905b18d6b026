"""Exact retrieval evaluation in bounded memory."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed

import keras
import numpy as np

from keras_metric import checks, distances
from keras_metric.evaluation import ranks, rows
from keras_metric.evaluation.conventions import CONVENTIONS
from keras_metric.evaluation.labels import encode
from keras_metric.evaluation.processors import processors, shared_by
from keras_metric.evaluation.ranking_metrics import RankedTile, parse
from keras_metric.evaluation.relevance import ByGrade, LeftOut, relevance_of
from keras_metric.evaluation.results import RetrievalResult
from keras_metric.evaluation.scores import scorer

OWNER = "retrieval"
MOST_WORKERS = 8
AVERAGES = ("micro", "macro")


def retrieval(
    queries,
    query_labels,
    gallery=None,
    gallery_labels=None,
    metrics=("hit@1", "hit@5", "map@r", "r_precision", "mrr"),
    distance: str | distances.Distance = "cosine",
    groups=None,
    average="micro",
    *,
    gallery_groups=None,
    ties="order",
    relevance=None,
    convention="keras-metric",
    progress=False,
):
    """How well the nearest gallery items of each query are those of its class. Exact, in bounded memory.

        result = retrieval(embeddings, labels)
        result["hit@1"], result.per_query["map@r"], result.per_class["hit@1"]["cat"], result.excluded

    Metrics are defined in `keras_metric.evaluation.ranking_metrics`: `hit@k`, `recall@k`, `precision@k`, `map@k`,
    `ndcg@k`, `mrr@k` for any k, `map@r`, `r_precision`, `mrr`. Queries without a relevant item are left out and
    counted. Distances are computed in float64 for float64 input and for small sets, else in float32.

    Args:
        queries: embeddings (Q, D).
        query_labels: class of each: integers of any size or text, (Q,) or (Q, 1); or several classes each, multi-hot
            (Q, C) or a sequence of sets: then an item is relevant if it shares a class with the query.
        gallery: embeddings (G, D) to search; None: the queries themselves, each without itself (by row).
        gallery_labels: their classes; None without a gallery.
        metrics: names.
        distance: name or `Distance`. Cosine, angular, Euclidean, inner-product and Hamming distances are fast.
        groups: None, or an id for each query: gallery items of the query's own group (its camera, its session) are
            left out of the ranking and of R.
        average: `"micro"`: mean over queries. `"macro"`: mean over classes of the mean over their queries.
        gallery_groups: ids of the gallery's groups, needed if there are groups and a gallery.
        ties: items at equal distance in the order of the gallery (`"order"`), relevant ones first (`"optimistic"`) or
            last (`"pessimistic"`). The last two bound what ties can do.
        relevance: None, or grades >= 0 in place of classes: an array (Q, G), or a function of query rows (n,) and
            gallery rows (n, m) that gives (n, m), called from one thread at a time. `ndcg@k` uses the grades; for the
            others, above 0 is relevant.
        convention: whose definition of `map@k` and `precision@k` it is: `"pml"`, `"sentence-transformers"` and `"oml"`
            give the numbers of these libraries; `keras_metric.evaluation.conventions` says how they differ.
        progress: shows a progress bar with an estimate of the time left.

    Returns:
        `RetrievalResult`: a mapping name → float, with `per_query[name]` (Q,) (NaN at queries left out),
        `per_class[name][label]` and `excluded`. Without a query that has a relevant item every figure is NaN, with a
        warning; so is a metric at a k beyond the gallery.

    Raises:
        ValueError: for other lengths or widths, values that are not finite, unknown names.
    """
    asked = parse(metrics)
    distance = distances.get(distance)
    checks.choice(average, "average", OWNER, AVERAGES)
    checks.choice(ties, "ties", OWNER, ranks.TIES)
    checks.choice(convention, "convention", OWNER, CONVENTIONS)
    job = _Job(queries, query_labels, gallery, gallery_labels, groups, gallery_groups, relevance)
    if job.classes is None and average == "macro":
        checks.fail("average", OWNER, "be 'micro' without labels", average, "Give `query_labels`.")
    within, beyond = [], []
    for metric in asked:
        (beyond if metric.k and metric.k > job.available.max() else within).append(metric)
    if beyond:
        warnings.warn(
            f"{', '.join(m.name for m in beyond)} of {OWNER} reach beyond the gallery, which has "
            f"{job.available.max()} items for a query: they are NaN."
        )
    if not job.valid.any():
        warnings.warn(
            f"{OWNER} found no query with a relevant item in the gallery: every figure is NaN."
        )
    found = {}
    if within and job.valid.any():
        found = _rank(job, within, distance, ties, convention, progress)
    per_query = {
        metric.name: found.get(metric.name, np.full(len(job.valid), np.nan)) for metric in asked
    }
    per_class = {name: _by_class(values, job) for name, values in per_query.items()}
    means = per_query if average == "micro" else {n: list(c.values()) for n, c in per_class.items()}
    return RetrievalResult(
        {name: _mean(values) for name, values in means.items()},
        per_query,
        per_class,
        int(np.count_nonzero(~job.valid)),
    )


class _Job:
    """The checked input of one evaluation."""

    def __init__(
        self, queries, query_labels, gallery, gallery_labels, groups, gallery_groups, relevance
    ):
        itself = gallery is None
        if itself and gallery_labels is not None:
            checks.fail("gallery_labels", OWNER, "be None without a gallery", "labels")
        if not itself and gallery_labels is None and relevance is None:
            checks.fail("gallery_labels", OWNER, "be given with a gallery", None)
        self.queries = rows.as_matrix(queries, "queries", OWNER)
        self.gallery = self.queries if itself else rows.as_matrix(gallery, "gallery", OWNER)
        rows.same_width(self.queries, self.gallery, "queries", "gallery", OWNER)
        self.classes = self.vocabulary = None
        gallery_classes = None
        if query_labels is not None and (itself or gallery_labels is not None):
            self._encode(query_labels, gallery_labels, itself)
            self.classes, gallery_classes = self._encoded
        elif relevance is None:
            checks.fail("query_labels", OWNER, "be given", None)
        self.left_out = LeftOut(itself, self._groups(groups, gallery_groups, itself))
        shape = (len(self.queries), len(self.gallery))
        self.relevance = relevance_of(self.classes, gallery_classes, relevance, shape)
        self.counts = self.relevance.counts(self.left_out)
        self.valid = self.counts > 0
        self.available = self.left_out.available(len(self.gallery), len(self.queries))

    def _encode(self, query_labels, gallery_labels, itself):
        names = ["query_labels"] if itself else ["query_labels", "gallery_labels"]
        parts = [query_labels] if itself else [query_labels, gallery_labels]
        encoded, self.vocabulary = encode(parts, names, OWNER)
        self._encoded = encoded * 2 if itself else encoded
        rows.same_length(self.queries, "queries", encoded[0], "query_labels", OWNER)
        rows.same_length(self.gallery, "gallery", encoded[-1], "gallery_labels", OWNER)

    def _groups(self, groups, gallery_groups, itself):
        if groups is None and gallery_groups is None:
            return None
        if groups is None or (gallery_groups is None and not itself):
            missing = "groups" if groups is None else "gallery_groups"
            checks.fail(missing, OWNER, "be given, as both sides need their groups", None)
        if itself and gallery_groups is not None:
            checks.fail("gallery_groups", OWNER, "be None without a gallery", "groups")
        parts = [groups] if itself else [groups, gallery_groups]
        encoded, _ = encode(parts, ["groups", "gallery_groups"][: len(parts)], OWNER)
        rows.same_length(self.queries, "queries", encoded[0], "groups", OWNER)
        rows.same_length(self.gallery, "gallery", encoded[-1], "gallery_groups", OWNER)
        if encoded[0].several:
            checks.fail("groups", OWNER, "be one id a row", "several")
        return encoded[0].codes, encoded[-1].codes


def _rank(job, metrics, distance, ties, convention, progress):
    """Name → (Q,) values; tiles are independent of each other and go to several threads."""
    scores = scorer(job.queries, job.gallery, distance)
    values = {metric.name: np.full(len(job.valid), np.nan) for metric in metrics}
    depths = np.max([metric.depth(job.counts) for metric in metrics], axis=0)
    depths = np.minimum(depths, len(job.gallery))
    # Queries of like depth share a tile, so that none is ranked deeper than it needs.
    waiting = np.flatnonzero(job.valid)
    waiting = waiting[np.argsort(-depths[waiting], kind="stable")]
    parallel = scores.parallel and not job.relevance.calls_back
    workers = min(processors(), MOST_WORKERS) if parallel else 1
    buffers = threading.local()

    def work(some):
        depth = int(depths[some].max())
        tile = _tile(scores, some, job, buffers)
        ranked = _ranked(tile, some, job, depth, ties, convention)
        for metric in metrics:
            values[metric.name][some] = ranked.values(metric)
        return len(some)

    bar = keras.utils.Progbar(len(waiting), unit_name="query") if progress else None
    with shared_by(workers), ThreadPoolExecutor(workers) as pool:
        tiles = [pool.submit(work, some) for some in _split(waiting, depths, scores, workers)]
        try:
            for tile in as_completed(tiles):
                done = tile.result()
                if bar:
                    bar.add(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return values


def _split(waiting, depths, scores, workers):
    start = 0
    while start < len(waiting):
        depth = int(depths[waiting[start]])
        n = ranks.tile_rows(scores.columns, depth, workers, scores.dtype.itemsize)
        yield waiting[start : start + n]
        start += n


def _tile(scores, some, job, buffers):
    # A new large array costs more than filling it: each thread keeps its own.
    size = len(some) * scores.columns
    if getattr(buffers, "memory", np.empty(0)).size < size:
        buffers.memory = np.empty(size, scores.dtype)
    tile = buffers.memory[:size].reshape(len(some), scores.columns)
    scores.tile(some, tile)
    job.left_out.mark(tile, some, np.inf)
    return tile


def _ranked(tile, some, job, depth, ties, convention):
    relevance, n = job.relevance, len(job.gallery)
    columns, scores = ranks.nearest(tile, depth, _favour(relevance, some, n, ties))
    counted = scores < np.inf  # what is left out comes last, at infinity
    columns = np.minimum(columns, n - 1)
    relevant = relevance.at(some, columns) & counted

    def first(missing):
        all_columns = np.arange(n)
        return [
            ranks.first_hit(
                tile[i, :n],
                relevance.at(some[i : i + 1], all_columns)[0] & (tile[i, :n] < np.inf),
                ties,
            )  # fmt: skip
            for i in missing
        ]

    if not isinstance(relevance, ByGrade):
        return RankedTile(relevant, job.counts[some], first, convention=convention)
    grades = relevance.grades(some, columns) * counted

    def ideal(k):
        every = relevance.grades(some, np.arange(n)) * (tile[:, :n] < np.inf)
        return -np.sort(-every, axis=1)[:, :k]

    return RankedTile(relevant, job.counts[some], first, grades, ideal, convention)


def _favour(relevance, some, n, ties):
    if ties == "order":
        return None

    def later(tile_rows, columns):
        relevant = _at_pairs(relevance, some[tile_rows], np.minimum(columns, n - 1))
        return relevant if ties == "pessimistic" else ~relevant

    return later


def _at_pairs(relevance, query_rows, columns):
    return relevance.at(query_rows, columns[:, None])[:, 0]


def _by_class(values, job):
    if job.classes is None:
        return {}
    if job.classes.several:
        members = [np.flatnonzero(column) for column in job.classes.member.T]
        return {
            label: _mean(values[rows])
            for label, rows in zip(job.vocabulary, members, strict=True)
            if len(rows)
        }
    kept = np.isfinite(values)
    codes = job.classes.codes
    size = len(job.vocabulary)
    sums = np.bincount(codes[kept], weights=values[kept], minlength=size)
    counts = np.bincount(codes[kept], minlength=size)
    present = np.bincount(codes, minlength=size) > 0
    return {
        label: float(sums[i] / counts[i]) if counts[i] else float("nan")
        for i, label in enumerate(job.vocabulary)
        if present[i]
    }


def _mean(values):
    values = np.asarray(values, "float64")
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")
