"""Charts as SVG that stands in a page and takes its colours and type from it, in light and dark."""

import io
import re
import warnings
from html import escape
from xml.etree import ElementTree

from keras_metric import extras
from keras_metric.evaluation import charts

COLORS = {
    charts.INK: "var(--ink)",
    charts.MUTED: "var(--muted)",
    charts.GRID: "var(--grid)",
    charts.PAPER: "var(--paper)",
    charts.SAME: "var(--same)",
    charts.DIFFERENT: "var(--different)",
}
SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
DROPPED = ("metadata", "style", "title")


def chart(draw, describe, size=(5.4, 3.5), box=(0.165, 0.15, 0.79, 0.75)):
    """An `<svg>` element.

    Args:
        draw: function of Matplotlib axes.
        describe: what the chart shows, for those who do not see it.
        size: inches.
        box: place of the axes in the figure.
    """
    matplotlib = extras.require("matplotlib", extra="plots")
    figure_module = extras.require("matplotlib.figure", extra="plots")
    figure = figure_module.Figure(figsize=size, dpi=150)
    draw(figure.add_axes(box))
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": describe}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings(
            "ignore", "Glyph"
        )  # the browser has it, if Matplotlib's font has not
        figure.savefig(file, format="svg", metadata=nothing, transparent=True)
    return _for_page(file.getvalue(), describe)


def _for_page(text, describe):
    root = ElementTree.fromstring(text)
    for parent in root.iter():
        for child in list(parent):
            if child.tag.removeprefix(SVG) in DROPPED:
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        # Only what is referred to needs its name; others would be there twice with a second chart.
        if element.tag in ("g", "svg"):
            element.attrib.pop("id", None)
        if LINK in element.attrib:
            element.set("href", re.sub(r"\s", "", element.attrib.pop(LINK)))
        if "style" in element.attrib:
            element.set("style", _style(element.get("style")))
    view = root.get("viewBox")
    root.attrib.clear()
    root.set("viewBox", view)
    content = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    content = re.sub(r">\s+<", "><", content)
    return f'<svg viewBox="{view}" role="img" aria-label="{escape(describe)}">{content}</svg>'


def _style(style):
    style = re.sub(r"font-family:[^;]*;?", "", style)
    return re.sub(r"#[0-9a-f]{6}", lambda found: COLORS.get(found[0], found[0]), style).strip()
