"""Charts of evaluation on Matplotlib axes that the caller owns; colours and type in one place."""

import math
import statistics
from decimal import Decimal

import numpy as np

INK, MUTED, GRID, PAPER = "#24292f", "#57606a", "#d8dee4", "#ffffff"
SAME, DIFFERENT, CURVE = "#2f6fbb", "#d97b1f", "#2f6fbb"
TEXT = 9.5  # points
POINTS = 600  # that a curve is drawn with


def tidy(axes, title, x_label, y_label, pad=8):
    """The look that all charts share: light grid, two spines, title on the left."""
    axes.set_facecolor("none")
    axes.set_title(title, loc="left", size=TEXT + 1.5, color=INK, weight="bold", pad=pad)
    axes.set_xlabel(x_label, size=TEXT, color=MUTED, labelpad=4)
    axes.set_ylabel(y_label, size=TEXT, color=MUTED, labelpad=5)
    axes.tick_params(colors=MUTED, labelsize=TEXT - 0.5, length=3, which="major")
    axes.tick_params(length=0, which="minor")
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)


def histogram(axes, edges, same, different, threshold, unit):
    """Distances of same and of different pairs, each as a share of its kind, and the threshold between them.

    Args:
        axes: Matplotlib axes.
        edges: of the bins, (bins + 1,).
        same, different: share of the kind in each bin, (bins,); NaN where there are no such pairs.
        threshold: distance up to which a pair counts as same; NaN: none is drawn.
        unit: name of the distance.
    """
    tidy(axes, "Distances of pairs", f"{unit} distance", "share of pairs", pad=21)
    kinds = (
        ("same", same, SAME, "-"),
        ("different", different, DIFFERENT, (0, (4, 1.5))),
    )
    for name, shares, color, style in kinds:
        if np.isfinite(shares).all():
            axes.stairs(shares, edges, fill=True, color=color, alpha=0.25)
            axes.stairs(shares, edges, color=color, linewidth=1.6, linestyle=style, label=name)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(percent)
    axes.locator_params(axis="y", nbins=4)
    if math.isfinite(threshold):
        label = f"threshold {threshold:.3g}"
        axes.axvline(threshold, color=INK, linewidth=1.2, linestyle=":", label=label)
    # Above the axes: both kinds of pairs may need all of them.
    _legend(axes, "lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, columnspacing=1.2)


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
    far, tar = _with_lines(curve, chance)
    axes.plot(np.maximum(far, lowest), tar, color=CURVE, linewidth=2, label=label)
    eer = verified["eer"]
    label = f"EER {100 * eer:.2f}%"
    axes.plot([eer], [1 - eer], "o", color=INK, markersize=5.5, label=label)
    axes.set_xscale("log")
    axes.set_xlim(lowest, 1)
    axes.set_ylim(0, 1.02)
    decades = round(-math.log10(lowest))
    axes.set_xticks([10.0**-one for one in range(0, decades + 1, 1 if decades < 6 else 2)])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(percent)
    axes.yaxis.set_major_formatter(percent)
    _legend(axes, "best")


def _with_lines(curve, between):
    """FAR and TAR of a curve and of places between its points: its straight lines bend on axes like these.

    Between two points lie pairs of equal distance, which count half: with few of them, nothing is to be seen of it.
    """
    far = np.concatenate([curve.far, between])
    tar = np.concatenate([curve.tar, np.interp(between, curve.far, curve.tar)])
    order = np.lexsort((tar, far))
    return far[order], tar[order]


def _nothing(axes):
    axes.text(
        0.5, 0.5, "needs same and different pairs", transform=axes.transAxes,
        size=TEXT, color=MUTED, ha="center", va="center",
    )  # fmt: skip


def det(axes, verified):
    """Both kinds of error against each other, on axes on which two normal distributions give a straight line.

    Args:
        axes: Matplotlib axes.
        verified: `VerificationResult`.
    """
    tidy(axes, "DET", "different pairs accepted (FAR)", "same pairs refused (FRR)")
    if verified.curve is None:
        return _nothing(axes)
    curve, eer = verified.curve.thinned(POINTS), verified["eer"]
    least = 0.2 / float(max(verified.curve.different, verified.curve.same))
    ticks = [tick for tick in DET_TICKS if tick >= least]
    low, high = min(ticks[0], 0.01), 0.6
    far, tar = _with_lines(curve, np.geomspace(low, 1, 100))
    far, frr = (_deviate(np.clip(rate, low / 3, 0.999)) for rate in (far, 1 - tar))
    axes.plot(_deviate([low, high]), _deviate([low, high]), color=MUTED, linewidth=1, linestyle=":")
    axes.plot(far, frr, color=CURVE, linewidth=2)
    label = f"EER {100 * eer:.2f}%"
    point = _deviate([np.clip(eer, low, high)])
    axes.plot(point, point, "o", color=INK, markersize=5.5, label=label, linestyle="")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(_deviate(ticks), [percent(tick) for tick in ticks])
    axes.set_xlim(*_deviate([low, high]))
    axes.set_ylim(*_deviate([low, high]))
    _legend(axes, "best")


DET_TICKS = (1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5)


def _deviate(rates):
    normal = statistics.NormalDist()
    return np.array([normal.inv_cdf(rate) for rate in rates])


def hits(axes, ks, shares):
    """Share of queries with a neighbour of their class among the first k.

    Args:
        axes: Matplotlib axes.
        ks: rising whole numbers.
        shares: hit@k for each.
    """
    tidy(axes, "hit@k", "neighbours k (log scale)", "queries with a hit")
    axes.plot(ks, shares, "o-", color=CURVE, linewidth=2, markersize=4.5)
    axes.set_xscale("log")
    axes.set_xlim(ks[0] / 1.15, ks[-1] * 1.15)
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.set_xticks([], minor=True)
    low = min(shares)
    bottom = max(low - 0.25 * (1 - low) - 0.01, 0)
    axes.set_ylim(bottom, 1.005)
    axes.yaxis.set_major_formatter(percent)
    axes.locator_params(axis="y", nbins=5)
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= 1 + 1e-9])
    axes.set_ylim(bottom, 1.005)


def classes_map(axes, points, codes, names, title):
    """Places of embeddings in two dimensions, a colour and a mark a class, with names where there is room.

    The larger a class, the sooner it gets its name.

    Args:
        axes: Matplotlib axes.
        points: (N, 2).
        codes: (N,) small integers.
        names: of each code.
        title: what the places are.
    """
    tidy(axes, title, "", "")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    present, counts = np.unique(codes, return_counts=True)
    for number, code in enumerate(present):
        some = points[codes == code]
        color = HUES[number % len(HUES)]
        mark = MARKS[number // len(HUES) % len(MARKS)]
        axes.scatter(
            *some.T, s=14, color=color, marker=mark, alpha=0.75, linewidths=0, rasterized=True
        )
    axes.autoscale_view()  # so that it is known where names would stand
    taken = []
    for code in present[np.argsort(-counts, kind="stable")]:
        place = np.median(points[codes == code], axis=0)
        name = shortened(names[code], 18)
        x, y = axes.transData.transform(place) * 72 / axes.figure.dpi  # in points
        box = (x, y, 0.34 * TEXT * len(name), 0.75 * TEXT)
        if any(abs(x - u) < w + box[2] and abs(y - v) < h + box[3] for u, v, w, h in taken):
            continue  # a name over another one helps nobody
        taken.append(box)
        label = axes.text(
            *place, name, size=TEXT - 0.5, color=INK, weight="bold",
            ha="center", va="center", parse_math=False,
        )  # fmt: skip
        label.set_bbox({"facecolor": PAPER, "alpha": 0.45, "edgecolor": "none", "pad": 1})


HUES = (
    "#3b7dd8", "#d97b1f", "#2f9e62", "#cf4a4a", "#8a63d2",
    "#a0713c", "#d65fa8", "#7d8590", "#a8a020", "#1fa3b5",
)  # fmt: skip
MARKS = "os^Dv*PX"


def shortened(text, most):
    """Text of at most so many characters, in one line."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def percent(value, _=None):
    """0.001 → "0.1%"."""
    return format(Decimal(f"{100 * value:.6g}"), "f") + "%"


def _legend(axes, place, **where):
    legend = axes.legend(
        loc=place, fontsize=TEXT - 0.5, frameon=True, framealpha=0.85, borderpad=0.3,
        handlelength=1.7, handletextpad=0.5, **where,
    )  # fmt: skip
    legend.get_frame().set(edgecolor="none", facecolor=PAPER)
    for text in legend.get_texts():
        text.set_color(INK)
