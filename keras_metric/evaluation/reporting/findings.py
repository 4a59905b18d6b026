"""All that a report says, as numbers: what goes into the JSON, and what charts are drawn from."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from keras_metric.evaluation import pair_sample
from keras_metric.evaluation.bootstrap import (
    MOST_PAIRS,
    bootstrap_retrieval,
    bootstrap_verification,
)
from keras_metric.evaluation.neighbors import Neighbors, neighbors
from keras_metric.evaluation.reporting.places import Places, places
from keras_metric.evaluation.results import RetrievalResult, VerificationResult
from keras_metric.evaluation.retrieval import retrieval
from keras_metric.evaluation.verification import verification_from_embeddings

RANKING = ("hit@1", "hit@5", "map@r", "r_precision", "mrr")
KS = (1, 2, 5, 10, 20, 50, 100)
PAIRS = 300_000  # of a kind that the histogram counts
SHOWN = 6  # best queries, and as many worst
CONFUSED = 15
STRATEGY = "f1"  # of all pairs few are the same: by accuracy, a threshold would do best to accept next to none


class Findings(NamedTuple):
    """What was computed, before it is put into words."""

    data: Any
    ranked: RetrievalResult
    verified: VerificationResult
    nearest: Neighbors
    intervals: dict
    ks: list
    shares: tuple
    drawn_pairs: bool
    places: Places


def find(data, k, replicates, method, seed):
    """Judges embeddings in every way that a report shows.

    Args:
        data: `Labelled` embeddings.
        k: neighbours of a query that are shown.
        replicates: of the bootstrap.
        method: of the map.
        seed: of all that is drawn.
    """
    ks = [one for one in KS if one < len(data.codes)]
    names = list(RANKING[:2] if len(data.codes) > 5 else RANKING[:1]) + list(RANKING[2:])
    names += [f"hit@{one}" for one in ks if f"hit@{one}" not in names]
    ranked = retrieval(data.embeddings, data.codes, metrics=names, distance=data.distance)
    verified = verification_from_embeddings(
        data.embeddings, data.codes, data.distance, strategy=STRATEGY
    )
    nearest = neighbors(
        data.embeddings,
        np.arange(len(data.codes)),
        min(k, len(data.codes) - 1),
        data.distance,
    )
    kinds = pair_sample.sample(data.embeddings, data.codes, data.distance, PAIRS, seed)
    return Findings(
        data,
        ranked,
        verified,
        nearest,
        _intervals(data, ranked, verified, replicates, seed),
        ks,
        pair_sample.shares(*kinds),
        not all(kind.complete for kind in kinds),
        places(data.embeddings, data.distance, method, seed),
    )


def _intervals(data, ranked, verified, replicates, seed):
    """Name → `Interval`, empty where there is one class only."""
    if len(data.names) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few classes: the notes of the report say so
        found = bootstrap_retrieval(ranked, data.codes, replicates=replicates, seed=seed)
        if verified.curve is not None:
            found |= bootstrap_verification(
                data.embeddings, data.codes, data.distance,
                replicates=replicates, seed=seed, threshold=verified["threshold"],
            )  # fmt: skip
    return found


def told(found, title, replicates, versions):
    """What the JSON says."""
    data, ranked, verified = found.data, found.ranked, found.verified
    rankings = [name for name in RANKING if name in ranked]
    values = {**{name: ranked[name] for name in rankings}, **verified}
    edges, same, different = found.shares
    return {
        "title": title,
        "data": {
            "items": len(data.codes),
            "classes": len(data.names),
            "dimensions": data.embeddings.shape[1],
            "distance": data.unit,
            "queries_left_out": ranked.excluded,
            "pairs": dict(zip(("same", "different"), verified.pairs, strict=True)),
        },
        "figures": {name: _with_interval(name, values[name], found) for name in values},
        "hit_at_k": {str(k): ranked[f"hit@{k}"] for k in found.ks},
        "classes": classes(found),
        "confused": confused(found),
        "queries": {
            "worst": [query(row, found) for row in worst_queries(found)],
            "best": [query(row, found) for row in best_queries(found)],
        },
        "curve": _curve(verified),
        "histogram": {"edges": edges, "same": same, "different": different},
        "map": {
            "how": found.places.how,
            "rows": found.places.rows,
            "places": np.round(found.places.points, 4),
        },
        "notes": notes(found, replicates),
        "versions": versions,
    }


def _with_interval(name, value, found):
    low, high = found.intervals.get(name) or (None, None)
    return {"value": value, "low": low, "high": high}


def _curve(verified):
    if verified.curve is None:
        return None
    thin = verified.curve.thinned(400)
    return {"thresholds": thin.thresholds, "far": thin.far, "frr": thin.frr}


def notes(found, replicates):
    """What a reader must know to trust the numbers."""
    data, verified = found.data, found.verified
    same, different = verified.pairs
    said = [
        "Retrieval: every item is a query for all others, ranked exactly; ties in the order of the items.",
        f"Verification: all {same + different:,} pairs, {same:,} of them of one class; the threshold was chosen on the "
        "same pairs, so its accuracy, precision, recall and F1 are on the hopeful side.",
    ]
    nearest = found.nearest.distances
    tied = int(np.count_nonzero(nearest[:, 0] == nearest[:, 1])) if nearest.shape[1] > 1 else 0
    if tied:
        said.append(
            f"For {tied:,} of {len(nearest):,} queries the two nearest neighbours are equally near, so that the order "
            "of the items decides; evaluation.retrieval(…, ties=…) bounds what it can do."
        )
    if found.ranked.excluded:
        said.append(
            f"{found.ranked.excluded:,} queries are left out of retrieval, as their class has no second item."
        )
    if found.intervals:
        few = len(data.names) < 20
        said.append(
            f"Intervals: 95 % percentiles of {replicates:,} bootstrap draws of whole classes ({len(data.names):,} "
            "classes); the gallery and the threshold stay as they are."
            + (" With so few classes they are rough, and rather too narrow." if few else "")
        )
        if max(same, different) > MOST_PAIRS:
            said.append(
                f"Intervals of verification are of {MOST_PAIRS:,} pairs of a kind at most, drawn at random, and of all "
                "the closest different pairs."
            )
    worst = max(verified.errors.values(), default=0.0)
    if worst > 0:
        said.append(
            f"AUC, EER and TAR come from fine histograms and are exact to {worst:.1g}; the others are exact."
        )
    if found.drawn_pairs:
        said.append(f"The histogram of distances is of {PAIRS:,} pairs a kind, drawn at random.")
    return said


def classes(found):
    """A dict for each class, the worst MAP@R first; those without a second item last."""
    data, per_class = found.data, found.ranked.per_class
    counts = np.bincount(data.codes, minlength=len(data.names))
    taken = {one["class"]: one for one in reversed(confused(found, every=True))}
    rows = []
    for code, (label, name) in enumerate(zip(data.vocabulary, data.names, strict=True)):
        worst = taken.get(label)
        rows.append(
            {
                "class": label,
                "name": name,
                "items": int(counts[code]),
                "hit@1": per_class["hit@1"][code],
                "map@r": per_class["map@r"][code],
                "taken_for": worst and worst["taken_for"],
                "taken_for_share": worst["share"] if worst else 0.0,
            }
        )
    return sorted(rows, key=lambda row: np.nan_to_num(row["map@r"], nan=2.0))


def confused(found, every=False):
    """How often the nearest neighbour of a class's items is of which other class; the most frequent first.

    `example` is the closest such pair of rows.
    """
    codes, labels = found.data.codes, found.data.vocabulary
    first, gap = found.nearest.rows[:, 0], found.nearest.distances[:, 0]
    wrong = np.flatnonzero(codes[first] != codes)
    size = len(found.data.names)
    kinds, which, times = np.unique(
        codes[wrong].astype("int64") * size + codes[first[wrong]],
        return_inverse=True,
        return_counts=True,
    )
    counts = np.bincount(codes, minlength=size)
    closest = wrong[np.lexsort((gap[wrong], which))]
    example = closest[np.searchsorted(np.sort(which), np.arange(len(kinds)))]
    order = np.argsort(-times, kind="stable")
    return [
        {
            "class": labels[kinds[i] // size],
            "taken_for": labels[kinds[i] % size],
            "times": int(times[i]),
            "share": float(times[i] / counts[kinds[i] // size]),
            "example": [int(example[i]), int(first[example[i]])],
        }
        for i in (order if every else order[:CONFUSED])
    ]


def worst_queries(found):
    """Rows of the queries that are ranked worst, of different classes as far as there are any."""
    ap, rr = found.ranked.per_query["map@r"], found.ranked.per_query["mrr"]
    return _of_different_classes(np.lexsort((rr, ap)), found)


def best_queries(found):
    """Rows of the queries that are ranked best, of different classes; of equals, those with the nearest neighbours."""
    ap = found.ranked.per_query["map@r"]
    return _of_different_classes(np.lexsort((found.nearest.distances.mean(axis=1), -ap)), found)


def _of_different_classes(order, found):
    order = order[np.isfinite(found.ranked.per_query["map@r"][order])]
    _, first = np.unique(found.data.codes[order], return_index=True)
    chosen = np.sort(first)[:SHOWN]
    if len(chosen) < SHOWN:
        others = np.setdiff1d(np.arange(len(order)), chosen)
        chosen = np.sort(np.concatenate([chosen, others[: SHOWN - len(chosen)]]))
    return order[chosen]


def query(row, found):
    """One query and its neighbours."""
    codes, near, labels = found.data.codes, found.nearest, found.data.vocabulary
    return {
        "row": int(row),
        "class": labels[codes[row]],
        "map@r": float(found.ranked.per_query["map@r"][row]),
        "neighbors": [
            {
                "row": int(other),
                "class": labels[codes[other]],
                "distance": float(gap),
                "hit": bool(codes[other] == codes[row]),
            }
            for other, gap in zip(near.rows[row], near.distances[row], strict=True)
        ],
    }
