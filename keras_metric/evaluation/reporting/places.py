"""Places of embeddings in two dimensions, for a map."""

from typing import NamedTuple

import numpy as np

from keras_metric import checks, extras
from keras_metric.distances import AngularDistance, CosineDistance
from keras_metric.evaluation.scores import unit_rows

METHODS = ("auto", "tsne", "pca")
TSNE_ROWS, PCA_ROWS = 1000, 2000
PERPLEXITY, STEPS = 30, 600
DIRECTIONS, TURNS = 12, 20  # of the search for the axes of PCA
LEAST = 10  # rows that make t-SNE worth it


class Places(NamedTuple):
    """Rows that are on the map, their places (M, 2), and how they were found, for people."""

    rows: np.ndarray
    points: np.ndarray
    how: str


def places(embeddings, distance, method, seed):
    """A map of a set, or of rows drawn from it.

    Args:
        embeddings: (N, D), checked.
        distance: `Distance`; for cosine and angular distance rows are brought to length 1 first.
        method: `"pca"`, `"tsne"` (scikit-learn), or `"auto"`: t-SNE where scikit-learn is installed.
        seed: of the draw and of t-SNE.
    """
    checks.choice(method, "map", "report", METHODS)
    if method == "auto":
        method = "tsne" if _has_sklearn() and len(embeddings) >= LEAST else "pca"
    most = TSNE_ROWS if method == "tsne" else PCA_ROWS
    rows = np.arange(len(embeddings))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
    x = embeddings[rows].astype("float64")
    if isinstance(distance, (CosineDistance, AngularDistance)):
        x = unit_rows(x)
    of = "" if len(rows) == len(embeddings) else f" of {len(rows):,} drawn embeddings"
    points, share = _pca(x)
    if method == "pca":
        return Places(rows, points, f"PCA{of}, {100 * share:.0f} % of the variance")
    return Places(rows, _tsne(x, points, seed), f"t-SNE{of}")


def _pca(x):
    """Places (N, 2) on the two axes of most variance, and the share of it that they show."""
    centered = x - x.mean(axis=0)
    total = float((centered**2).sum())
    # Repeated products turn a few directions into those of most variance, without a D × D or an N × N matrix.
    some = np.random.default_rng(0).normal(size=(x.shape[1], min(DIRECTIONS, *x.shape)))
    for _ in range(TURNS):
        some, _ = np.linalg.qr(centered.T @ (centered @ some))
    left, sizes, _ = np.linalg.svd(centered @ some, full_matrices=False)
    points = np.zeros((len(x), 2))
    points[:, : min(2, len(sizes))] = left[:, :2] * sizes[:2]
    return points, float((sizes[:2] ** 2).sum()) / total if total > 0 else 1.0


def _tsne(x, points, seed):
    manifold = extras.require("sklearn.manifold", extra="evaluation")
    threads = extras.require("threadpoolctl", extra="evaluation")  # comes with scikit-learn
    tsne = manifold.TSNE(
        perplexity=min(PERPLEXITY, (len(x) - 1) / 3),
        init=(1e-4 * points / (points[:, 0].std() or 1.0)).astype("float32"),
        max_iter=STEPS,
        random_state=seed,
    )
    # Few points: threads would wait for each other most of the time, for minutes where others compute as well.
    with threads.threadpool_limits(1):
        return tsne.fit_transform(x.astype("float32"))


def _has_sklearn():
    try:
        extras.require("sklearn", extra="evaluation")
    except ImportError:
        return False
    return True
