"""Charts of evaluation on Matplotlib axes that the caller owns; colours and type in one place."""

import math

import numpy as np

INK, MUTED, GRID, PAPER = "#24292f", "#57606a", "#d8dee4", "#ffffff"
SAME, DIFFERENT, CURVE = "#2f6fbb", "#d97b1f", "#2f6fbb"
TEXT = 9.5  # points
POINTS = 600  # that a curve is drawn with
BINS = 60


def tidy(axes, title, x_label, y_label):
    """The look that all charts share: light grid, two spines, title on the left."""
    axes.set_facecolor("none")
    axes.set_title(title, loc="left", size=TEXT + 1.5, color=INK, weight="bold", pad=8)
    axes.set_xlabel(x_label, size=TEXT, color=MUTED, labelpad=4)
    axes.set_ylabel(y_label, size=TEXT, color=MUTED, labelpad=5)
    axes.tick_params(colors=MUTED, labelsize=TEXT - 0.5, length=3, which="major")
    axes.tick_params(length=0, which="minor")
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)


def histogram(axes, same, different, threshold, unit):
    """Distances of same and of different pairs, each as a share of its kind, and the threshold between them.

    Args:
        axes: Matplotlib axes.
        same, different: `PairSample`s.
        threshold: distance up to which a pair counts as same; NaN: none is drawn.
        unit: name of the distance.
    """
    tidy(axes, "Distances of pairs", f"{unit} distance", "share of pairs")
    kinds = (
        ("same class", same.distances, SAME, "-"),
        ("different classes", different.distances, DIFFERENT, (0, (4, 1.5))),
    )
    edges = _edges(np.concatenate([same.distances, different.distances]))
    for name, values, color, style in kinds:
        if not len(values):
            continue
        shares = np.histogram(values, edges)[0] / len(values)
        axes.stairs(shares, edges, fill=True, color=color, alpha=0.25)
        axes.stairs(shares, edges, color=color, linewidth=1.6, linestyle=style, label=name)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(percent)
    axes.locator_params(axis="y", nbins=4)
    if math.isfinite(threshold):
        axes.axvline(
            threshold, color=INK, linewidth=1.2, linestyle=":", label=f"threshold {threshold:.3g}"
        )
    _legend(axes, "best")


def _edges(values):
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def roc(axes, verified):
    """Share of same pairs that a threshold accepts, against the share of different pairs that it accepts too.

    Args:
        axes: Matplotlib axes.
        verified: `VerificationResult`.
    """
    tidy(axes, "ROC", "different pairs accepted (FAR, log scale)", "same pairs accepted (TAR)")
    if verified.curve is None:
        return _nothing(axes)
    curve = verified.curve.thinned(POINTS)
    lowest = 10.0 ** max(math.floor(math.log10(0.5 / float(curve.different))), -7)
    chance = np.geomspace(lowest, 1, 100)
    axes.plot(chance, chance, color=MUTED, linewidth=1, linestyle=":", label="chance")
    label = f"AUC {verified['auc']:.4f}"
    axes.plot(np.maximum(curve.far, lowest), curve.tar, color=CURVE, linewidth=2, label=label)
    eer = verified["eer"]
    label = f"EER {100 * eer:.2f}%"
    axes.plot([eer], [1 - eer], "o", color=INK, markersize=5.5, label=label)
    axes.set_xscale("log")
    axes.set_xlim(lowest, 1)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(percent)
    axes.yaxis.set_major_formatter(percent)
    _legend(axes, "best")


def _nothing(axes):
    axes.text(
        0.5, 0.5, "needs same and different pairs", transform=axes.transAxes,
        size=TEXT, color=MUTED, ha="center", va="center",
    )  # fmt: skip


def percent(value, _=None):
    """0.001 → "0.1%"."""
    return f"{100 * value:g}%"


def _legend(axes, place):
    legend = axes.legend(
        loc=place, fontsize=TEXT - 0.5, frameon=True, framealpha=0.85, borderpad=0.3, handlelength=1.8
    )  # fmt: skip
    legend.get_frame().set(edgecolor="none", facecolor=PAPER)
    for text in legend.get_texts():
        text.set_color(INK)
