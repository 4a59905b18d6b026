"""Pictures of what embeddings tell apart, on Matplotlib's object interface (extra `plots`)."""

import numpy as np

from keras_metric import checks, extras
from keras_metric.distances import Distance
from keras_metric.evaluation import charts, pair_sample, rows
from keras_metric.evaluation.charts import INK, MUTED, PAPER, TEXT, shortened
from keras_metric.evaluation.labelled import labelled
from keras_metric.evaluation.neighbors import neighbors
from keras_metric.evaluation.pictures import as_images, to_pixels
from keras_metric.evaluation.verification import verification_from_embeddings

HIT, MISS = "#1a7f4b", "#c9352b"
CANDIDATES = 2000  # queries that the hardest are looked for among
PAIRS = 300_000  # of a kind that the histogram counts
OWNER = "overview"


def overview(
    embeddings,
    labels,
    images=None,
    distance: str | Distance = "cosine",
    *,
    class_names=None,
    queries=6,
    k=8,
    seed=0,
):
    """One picture of a set of embeddings: neighbours of a few queries, distances of pairs, and the ROC curve.

        overview(encoder.predict(x), y, images=x).savefig("overview.png")

    Two thirds of the queries are drawn, each of another class as far as that goes; the others are the hardest found.
    Hits have a solid green frame and a tick, misses a dashed red frame, a cross and the name of their class.

    Args:
        embeddings: (N, D).
        labels: one class a row: integers or text.
        images: (N, H, W), (N, H, W, 1) or (N, H, W, 3), uint8 or other numbers (then the least and the largest that
            are shown become black and white). None: tiles show the names of the classes.
        distance: name or `Distance`.
        class_names: list by label, or dict {label: name}; None: the labels themselves.
        queries: how many to show.
        k: neighbours of each, no more than the largest class has.
        seed: of what is drawn: queries, and pairs for the histogram where there are more than 300,000 of a kind (the
            footnote says so; the figures and the curve count all).

    Returns:
        `matplotlib.figure.Figure`, 11 × 6 inches.

    Raises:
        ImportError: without Matplotlib.
        ValueError: for embeddings, labels or images that do not fit.
    """
    figure_module = extras.require("matplotlib.figure", extra="plots")
    data = labelled(embeddings, labels, distance, class_names, OWNER)
    if images is not None:
        images = as_images(images, OWNER)
        rows.same_length(data.embeddings, "embeddings", images, "images", OWNER)
    queries, k = checks.whole(queries, "queries", OWNER), checks.whole(k, "k", OWNER)
    # Of all pairs few are the same: by accuracy, a threshold would do best to accept next to none.
    verified = verification_from_embeddings(
        data.embeddings, data.codes, data.distance, strategy="f1"
    )
    same, different = pair_sample.sample(data.embeddings, data.codes, data.distance, PAIRS, seed)

    figure = figure_module.Figure(figsize=(11, 6), dpi=150, facecolor=PAPER)
    _draw_neighbors(figure.add_axes((0.01, 0.07, 0.58, 0.91)), data, images, queries, k, seed)
    axes = figure.add_axes((0.66, 0.6, 0.315, 0.305))
    shares = pair_sample.shares(same, different)
    charts.histogram(axes, *shares, verified["threshold"], data.unit)
    charts.roc(figure.add_axes((0.66, 0.12, 0.315, 0.33)), verified)
    note = _footnote(data, same, different)
    figure.text(0.0145, 0.022, note, color=MUTED, size=TEXT - 0.5)
    return figure


def _draw_neighbors(axes, data, images, queries, k, seed):
    most = max(int(np.bincount(data.codes).max()) - 1, 1)  # beyond it, all are misses
    k = min(k, most, len(data.codes) - 1)
    drawn, hardest = _choose(data, queries, k, seed)
    axes.set_axis_off()
    axes.set_aspect("equal")
    tiles = _Tiles(axes, data, images, k)
    tiles.heading(f"Queries drawn at random, and their {k} nearest neighbours")
    tiles.queries(drawn)
    if len(hardest):
        searched = min(len(data.codes), CANDIDATES)
        of = "" if searched == len(data.codes) else f" of {searched:,} drawn"
        tiles.heading(f"Hardest queries{of}")
        tiles.queries(hardest)
    tiles.finish()


def _choose(data, queries, k, seed):
    """Rows of drawn queries and of the hardest ones, all with another item of their class."""
    random = np.random.default_rng(seed)
    able = np.flatnonzero(np.bincount(data.codes)[data.codes] > 1)
    able = random.permutation(able if len(able) else len(data.codes))[:CANDIDATES]
    _, first = np.unique(data.codes[able], return_index=True)
    one_a_class = np.sort(first)
    others = np.setdiff1d(np.arange(len(able)), one_a_class)
    drawn = able[np.concatenate([one_a_class, others])][: queries - queries // 3]
    drawn = drawn[np.argsort(data.codes[drawn], kind="stable")]
    rest = np.sort(np.setdiff1d(able, drawn))
    found = neighbors(data.embeddings, rest, k, data.distance).rows
    hits = data.codes[found] == data.codes[rest][:, None]
    early = (hits / np.log2(np.arange(2, k + 2))).sum(axis=1)
    return drawn, rest[np.argsort(early, kind="stable")][: queries // 3]


class _Tiles:
    """Rows of a query and its neighbours on one pair of axes, from the top down. A tile is 1 × 1."""

    HEADING, ROW, STEP, FIRST = 0.62, 1.36, 1.13, 1.5  # heights, and places along a row

    def __init__(self, axes, data, images, k):
        self.axes, self.data, self.images, self.k = axes, data, images, k
        self.top = 0.0

    def heading(self, text):
        self.axes.text(
            0, self.top + 0.22, text, size=TEXT + 1.5, weight="bold", color=INK, va="center"
        )
        self.top += self.HEADING

    def queries(self, queries):
        found = neighbors(self.data.embeddings, queries, self.k, self.data.distance).rows
        shown = np.concatenate([queries[:, None], found], axis=1)
        pixels = None
        if self.images is not None:
            pixels = to_pixels(self.images[shown.ravel()])
            pixels = pixels.reshape(*shown.shape, *pixels.shape[1:])
        codes = self.data.codes[shown]
        for i in range(len(queries)):
            for j in range(1 + self.k):
                picture = None if pixels is None else pixels[i, j]
                hit = None if j == 0 else bool(codes[i, j] == codes[i, 0])
                self._tile(j, picture, self.data.names[codes[i, j]], hit)
            self.top += self.ROW

    def _tile(self, place, picture, name, hit):
        left = 0.0 if place == 0 else self.FIRST + self.STEP * (place - 1)
        if picture is None:
            self._name(left, self.top + 0.5, name, INK)
        else:
            self.axes.imshow(
                picture, cmap="gray", vmin=0, vmax=255, interpolation=_smoothing(picture),
                extent=(left, left + 1, self.top + 1, self.top), aspect="equal",
            )  # fmt: skip
        self._frame(left, hit)
        if hit is not None:
            self._badge(left, hit)
        if picture is not None and not hit:
            self._name(left, self.top + 1.16, name, INK if hit is None else MISS)

    def _name(self, left, y, name, color):
        self.axes.text(
            left + 0.5, y, shortened(name, 8), parse_math=False,
            size=TEXT - 1, color=color, ha="center", va="center",
        )  # fmt: skip

    def _frame(self, left, hit):
        patches = extras.require("matplotlib.patches", extra="plots")
        color = INK if hit is None else HIT if hit else MISS
        style = (0, (2.2, 1.2)) if hit is False else "-"
        width = 1.0 if hit is None else 2.2
        frame = patches.Rectangle(
            (left, self.top), 1, 1, fill=False, edgecolor=color, linewidth=width, linestyle=style
        )
        self.axes.add_patch(frame)

    def _badge(self, left, hit):
        self.axes.plot(
            [left + 0.98], [self.top + 0.02], "o", color=HIT if hit else MISS,
            markersize=8.5, markeredgecolor=PAPER, markeredgewidth=0.9, zorder=5, clip_on=False,
        )  # fmt: skip
        self.axes.text(
            left + 0.98, self.top + 0.025, "✓" if hit else "✗", size=6.5, weight="bold",
            color=PAPER, ha="center", va="center_baseline", zorder=6,
        )  # fmt: skip

    def finish(self):
        self.axes.set_xlim(-0.08, self.FIRST + self.STEP * self.k)
        self.axes.set_ylim(self.top, -0.05)
        self.axes.set_anchor("NW")


def _footnote(data, same, different):
    n, total = len(data.codes), same.total + different.total
    note = f"{n:,} embeddings of {len(data.names)} classes, {data.unit} distance, {total:,} pairs"
    drawn = [f"{len(kind.distances):,}" for kind in (same, different) if not kind.complete]
    return note + (f"; histogram of {drawn[0]} drawn pairs a kind" if drawn else "")


def _smoothing(picture):
    # A picture of few pixels is easier to recognise when they run into each other.
    return "bicubic" if max(picture.shape[:2]) < 20 else "antialiased"
