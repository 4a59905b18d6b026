"""What the judging functions return: mappings of names to floats that carry their details."""

from collections.abc import Mapping


class Figures(Mapping):
    """Name → float, read-only; prints as a small table."""

    def __init__(self, values):
        self._values = {name: float(value) for name, value in values.items()}

    def __getitem__(self, name):
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(f"{name!r}; there are {list(self._values)}") from None

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def __repr__(self):
        rows = ", ".join(f"{name}={value:.4g}" for name, value in self._values.items())
        return f"{type(self).__name__}({rows})"


class RetrievalResult(Figures):
    """Figures of a retrieval evaluation.

    Attributes:
        per_query: name → (Q,) float64, NaN at queries that were left out.
        per_class: name → {label: mean over the queries of the class}.
        excluded: number of queries without a relevant item, which are in no average.
    """

    def __init__(self, values, per_query, per_class: dict[str, dict], excluded):
        super().__init__(values)
        self.per_query = per_query
        self.per_class = per_class
        self.excluded = excluded


class VerificationResult(Figures):
    """Figures of a verification evaluation.

    Attributes:
        curve: the `RocCurve` behind them.
        pairs: numbers of same and different pairs.
        errors: name → how far the figure can be from the exact one; 0 where it is exact.
    """

    def __init__(self, values, curve, pairs, errors=None):
        super().__init__(values)
        self.curve = curve
        self.pairs = pairs
        self.errors = dict(errors or {})


class ClusteringResult(Figures):
    """Figures of a clustering.

    Attributes:
        clusters: (N,) the cluster of each row.
        algorithm: name of the scikit-learn class that found them.
    """

    def __init__(self, values, clusters, algorithm):
        super().__init__(values)
        self.clusters = clusters
        self.algorithm = algorithm


class ClassificationResult(Figures):
    """Figures of classifiers on embeddings, named `classifier/figure`.

    Attributes:
        predictions: classifier → (N,) predicted labels of the rows that were tested.
        per_class: classifier → {label: {"precision", "recall", "f1", "support"}}.
    """

    def __init__(self, values, predictions, per_class):
        super().__init__(values)
        self.predictions = predictions
        self.per_class = per_class


class OneShotResult(Figures):
    """Figures of episodes: `accuracy`, and `low` and `high`, the ends of its confidence interval.

    Attributes:
        per_episode: (E,) accuracy of each episode.
        predictions: (E, Q) what each query was taken for; None where episodes are not kept.
    """

    def __init__(self, values, per_episode, predictions=None):
        super().__init__(values)
        self.per_episode = per_episode
        self.predictions = predictions
