"""How well k-means finds the classes again."""

import numpy as np

from keras_metric import checks
from keras_metric.evaluation import rows
from keras_metric.evaluation.labels import encode
from keras_metric.evaluation.results import ClusteringResult
from keras_metric.evaluation.scores import unit_rows
from keras_metric.extras import require

OWNER = "clustering"
DISTANCES = ("euclidean", "cosine")
EXACT = 2**36  # rows · clusters · dimensions up to which every step of k-means looks at all rows
BATCH = 4096  # rows of a step beyond it


def clustering(x, labels, distance="euclidean", runs=3, seed=0):
    """k-means of the embeddings into as many clusters as there are classes, compared with the classes.

        evaluation.clustering(embeddings, labels)["nmi"]

    The clusters are found by scikit-learn (`KMeans` with k-means++; where rows · classes · dimensions is above 2^36,
    `MiniBatchKMeans`, which the result says). Memory beside the embeddings: one float32 copy of them and the centres;
    distances are never held as a whole.

        nmi     normalised mutual information, by the arithmetic mean of the entropies, in [0, 1]; rises with chance
                agreement where there are many clusters
        ami     the same, adjusted for chance: 0 on average for random clusters, at most 1
        ari     adjusted Rand index: agreement over pairs of rows, adjusted for chance, at most 1
        purity  share of rows whose class is the most frequent one of their cluster, in (0, 1]

    Args:
        x: embeddings (N, D).
        labels: one class for each: integers of any size or text, (N,) or (N, 1); at least 2 classes, fewer than N.
        distance: `"euclidean"`: k-means of x as it is; `"cosine"`: of its rows scaled to length 1.
        runs: starts of k-means; the one with the smallest sum of squares counts.
        seed: makes the clusters repeatable.

    Returns:
        `ClusteringResult`: a mapping `nmi`, `ami`, `ari`, `purity` → float, with `clusters` (N,) and `algorithm`.

    Raises:
        ImportError: without scikit-learn (`pip install 'keras-metric[evaluation]'`).
        ValueError: for other lengths, values that are not finite, one class only, or no class with two rows.

    References:
        Vinh, Epps and Bailey, "Information Theoretic Measures for Clusterings Comparison", JMLR 2010 (nmi, ami).
        Hubert and Arabie, "Comparing partitions", Journal of Classification 1985 (ari).
    """
    metrics = require("sklearn.metrics", "evaluation")
    checks.choice(distance, "distance", OWNER, DISTANCES)
    checks.whole(runs, "runs", OWNER)
    x = rows.as_matrix(x, "x", OWNER)
    codes = _codes(x, labels)
    number = int(codes.max()) + 1
    x = unit_rows(x) if distance == "cosine" else x
    clusters, algorithm = _clusters(x.astype("float32", copy=False), number, runs, seed)
    table = metrics.cluster.contingency_matrix(codes, clusters, sparse=True)
    return ClusteringResult(
        {
            "nmi": metrics.normalized_mutual_info_score(codes, clusters),
            "ami": metrics.adjusted_mutual_info_score(codes, clusters),
            "ari": metrics.adjusted_rand_score(codes, clusters),
            "purity": table.max(axis=0).sum() / len(codes),
        },
        clusters,
        algorithm,
    )


def _codes(x, labels):
    (encoded,), vocabulary = encode([labels], ["labels"], OWNER)
    if encoded.several:
        checks.fail("labels", OWNER, "be one class a row", "several")
    rows.same_length(x, "x", encoded, "labels", OWNER)
    if not 2 <= len(vocabulary) < len(x):
        raise ValueError(
            f"`labels` of {OWNER} must hold at least 2 classes, one of them with 2 rows or more: otherwise every "
            f"figure says nothing. Received: {len(vocabulary)} classes in {len(x)} rows."
        )
    return encoded.codes


def _clusters(x, number, runs, seed):
    # Centred, so that single precision suffices wherever the points lie.
    x = x - x.mean(axis=0, dtype="float64").astype(x.dtype)
    scale = np.abs(x).max()
    if scale > 0:
        x /= scale
    cluster = require("sklearn.cluster", "evaluation")
    kind, options = cluster.KMeans, {"copy_x": False}
    if x.size * number > EXACT:
        kind, options = cluster.MiniBatchKMeans, {"batch_size": max(BATCH, 4 * number)}
    model = kind(number, n_init=runs, random_state=seed, **options)
    return model.fit_predict(x), kind.__name__
