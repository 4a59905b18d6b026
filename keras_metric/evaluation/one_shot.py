"""N-way k-shot episodes: which of a few examples is a query like?"""

from statistics import NormalDist

import numpy as np

from keras_metric import checks, distances
from keras_metric.evaluation import rows
from keras_metric.evaluation.labels import encode
from keras_metric.evaluation.results import OneShotResult
from keras_metric.evaluation.scores import scorer, unit_rows

CLASSES = ("mean", "nearest")


def one_shot(
    support, queries, answers, distance: str | distances.Distance = "cosine", confidence=0.95
):
    """Accuracy over given episodes: each query is taken for the nearest example of its own episode.

        evaluation.one_shot(support, queries, answers)["accuracy"]

    `omniglot_runs` reads fixed episodes that many papers report; `few_shot` draws random ones.

    Args:
        support: embeddings (E, W, D): one example of each of W classes, in each of E episodes.
        queries: embeddings (E, Q, D).
        answers: (E, Q) which example of its episode, 0 … W − 1, is of the query's class.
        distance: name or `Distance`. Of equal distances the first example wins.
        confidence: of the interval, in (0, 1).

    Returns:
        `OneShotResult`: `accuracy`, the mean over episodes, and `low` and `high`, the ends of its confidence
        interval (mean ± z · standard error, as is usual; NaN with one episode), with `per_episode` (E,) and
        `predictions` (E, Q).

    Raises:
        ValueError: for shapes that do not go together, values that are not finite, answers out of range.
    """
    owner = "one_shot"
    support, queries, answers = _episodes(support, queries, answers, owner)
    distance = distances.get(distance)
    predictions = np.stack(
        [_nearest(q, s, distance) for q, s in zip(queries, support, strict=True)]
    )
    return _result((predictions == answers).mean(axis=1), confidence, owner, predictions)


def few_shot(
    x,
    labels,
    ways=5,
    shots=1,
    queries=15,
    episodes=600,
    distance: str | distances.Distance = "cosine",
    prototype="mean",
    confidence=0.95,
    seed=0,
):
    """Accuracy over random n-way k-shot episodes drawn from embedded and labelled rows.

        evaluation.few_shot(embeddings, labels, ways=20, shots=1, episodes=1000)

    An episode draws `ways` classes, then `shots` examples and `queries` other rows of each, all without repetition, and
    takes each query for the nearest class.

    Args:
        x: embeddings (N, D).
        labels: one class for each: integers of any size or text, (N,) or (N, 1). Classes with fewer than
            `shots + queries` rows take no part.
        ways: classes of an episode, at least 2.
        shots: examples of each.
        queries: rows of each that are to be told.
        episodes: how many, at least 1.
        distance: name or `Distance`.
        prototype: a class is its `"mean"` (with the cosine distance, of rows scaled to length 1), or its `"nearest"`
            example.
        confidence: of the interval, in (0, 1).
        seed: makes the episodes repeatable.

    Returns:
        `OneShotResult`, as of `one_shot`, without `predictions`.

    Raises:
        ValueError: for other lengths, values that are not finite, or fewer than `ways` classes that are large enough.

    References:
        Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016, arXiv:1606.04080 (episodes).
        Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017, arXiv:1703.05175 (mean).
    """
    owner = "few_shot"
    checks.whole(ways, "ways", owner, at_least=2)
    for value, name in ((shots, "shots"), (queries, "queries"), (episodes, "episodes")):
        checks.whole(value, name, owner)
    checks.choice(prototype, "prototype", owner, CLASSES)
    distance = distances.get(distance)
    x = rows.as_matrix(x, "x", owner)
    members = _members(x, labels, ways, shots + queries, owner)
    if isinstance(distance, distances.CosineDistance):
        x = unit_rows(x)
    truth = np.repeat(np.arange(ways), queries)
    random = np.random.default_rng(seed)
    accuracies = np.empty(episodes)
    for episode in range(episodes):
        chosen = random.choice(len(members), ways, replace=False)
        drawn = [random.choice(members[c], shots + queries, replace=False) for c in chosen]
        drawn = np.stack(drawn)  # (ways, shots + queries)
        examples, asked = x[drawn[:, :shots]], x[drawn[:, shots:].reshape(-1)]
        if prototype == "mean":
            found = _nearest(asked, examples.mean(axis=1, dtype="float64"), distance)
        else:
            found = _nearest(asked, examples.reshape(-1, x.shape[1]), distance) // shots
        accuracies[episode] = (found == truth).mean()
    return _result(accuracies, confidence, owner)


def _episodes(support, queries, answers, owner):
    support, queries = (np.asarray(part) for part in (support, queries))
    for part, name in ((support, "support"), (queries, "queries")):
        if part.ndim != 3 or not part.size:
            checks.fail_shape(name, owner, "have the shape (episodes, items, dimensions)", part)
        rows.check_finite(part.reshape(-1, part.shape[-1]), name, owner)
    if len(support) != len(queries) or support.shape[2] != queries.shape[2]:
        raise ValueError(
            f"`support` and `queries` of {owner} must have as many episodes and dimensions. "
            f"Received: shapes {support.shape} and {queries.shape}."
        )
    answers = np.asarray(answers)
    if answers.shape != queries.shape[:2]:
        checks.fail_shape("answers", owner, f"have the shape {queries.shape[:2]}", answers)
    if answers.dtype.kind not in "iu" or answers.min() < 0 or answers.max() >= support.shape[1]:
        checks.fail("answers", owner, f"be whole numbers from 0 to {support.shape[1] - 1}", answers)
    return support, queries, answers


def _members(x, labels, ways, least, owner):
    (encoded,), _ = encode([labels], ["labels"], owner)
    if encoded.several:
        checks.fail("labels", owner, "be one class a row", "several")
    rows.same_length(x, "x", encoded, "labels", owner)
    order = np.argsort(encoded.codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(encoded.codes))[:-1])
    members = [rows_of for rows_of in members if len(rows_of) >= least]
    if len(members) < ways:
        raise ValueError(
            f"`labels` of {owner} must hold {ways} classes (`ways`) of {least} rows or more (`shots` + `queries`). "
            f"Received: {len(members)} such classes."
        )
    return members


def _nearest(queries, examples, distance):
    """Nearest example of each query; the first of several."""
    scores = scorer(queries, examples, distance)
    tile = np.empty((len(queries), scores.columns), scores.dtype)
    scores.tile(np.arange(len(queries)), tile)
    return tile.argmin(axis=1)


def _result(accuracies, confidence, owner, predictions=None):
    confidence = checks.number(confidence, "confidence", owner, above=0, below=1)
    mean, half = accuracies.mean(), float("nan")
    if len(accuracies) > 1:
        error = accuracies.std(ddof=1) / np.sqrt(len(accuracies))
        half = NormalDist().inv_cdf((1 + confidence) / 2) * error
    figures = {"accuracy": mean, "low": max(mean - half, 0), "high": min(mean + half, 1)}
    return OneShotResult(figures, accuracies, predictions)
