"""Places of embeddings in two dimensions, for a map."""

from typing import NamedTuple

import numpy as np

from keras_metric import checks, extras
from keras_metric.distances import AngularDistance, CosineDistance
from keras_metric.evaluation.scores import unit_rows

METHODS = ("auto", "tsne", "pca")
TSNE_ROWS, PCA_ROWS = 1000, 5000
PERPLEXITY, STEPS = 30, 600
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
    variances, axes = np.linalg.eigh(centered.T @ centered)
    points = np.zeros((len(x), 2))
    shown = centered @ axes[:, ::-1][:, :2]
    points[:, : shown.shape[1]] = shown
    total = float(variances.sum())
    return points, float(variances[-2:].sum()) / total if total > 0 else 1.0


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
