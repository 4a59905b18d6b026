"""The page of a report: its numbers are those of the JSON beside it, all text is escaped, nothing is loaded."""

import base64
import hashlib
from html import escape
from importlib import resources
from string import Template

from keras_metric.evaluation import charts
from keras_metric.evaluation.reporting.svg import chart

CARDS = ("hit@1", "map@r", "auc", "eer")
PLAYED = 3  # neighbours of a query whose sound can be heard
ROWS = 500  # of the table of classes; the JSON has all
NAMES = {
    "map@r": "MAP@R",
    "r_precision": "R-precision",
    "mrr": "MRR",
    "auc": "AUC",
    "eer": "EER",
    "f1": "F1",
}
MEANINGS = {
    "hit@1": "queries whose nearest neighbour is of their class",
    "hit@5": "queries with one of their class among the five nearest",
    "map@r": "how well all R others of the class are ranked before the rest, 1 at best",
    "r_precision": "share of the R nearest that are of the class",
    "mrr": "mean of 1 / rank of the first of the class",
    "auc": "probability that a same pair is closer than a different pair",
    "eer": "error rate where as many same pairs are refused as different pairs accepted",
    "accuracy": "pairs told right by the threshold",
    "precision": "accepted pairs that are same",
    "recall": "same pairs that are accepted",
    "f1": "harmonic mean of precision and recall",
    "threshold": "distance up to which a pair counts as same; of all, the one with the best F1 on these pairs",
}


def page(told, found, items):
    """The whole HTML.

    Args:
        told: what the JSON says.
        found: `Findings`, for the charts.
        items: shows items, see `items_of`.
    """
    names = {one["class"]: one["name"] for one in told["classes"]}
    tiles = _Tiles(items, names)
    sections = {
        "Figures": _figures(told),
        "Neighbours": _queries(told, tiles),
        "Curves": _curves(told, found),
        "Classes": _classes(told, names),
        "Confusions": _confusions(told, tiles),
        "Map": _map(told, found),
        "How it was computed": _notes(told),
    }
    ids = {name: name.lower().replace(" ", "-") for name in sections}
    script = _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    about = told["data"]
    subtitle = (
        f"{about['items']:,} items of {about['classes']:,} classes, embedded in {about['dimensions']} dimensions; "
        f"{about['distance']} distance"
    )
    return Template(_file("page.html")).substitute(
        title=escape(told["title"]),
        subtitle=escape(subtitle),
        style=_file("page.css"),
        script=script,
        script_hash=digest,
        links="".join(f'<a href="#{ids[name]}">{name}</a>' for name in sections),
        cards=_cards(told),
        sections="\n".join(
            f'<section id="{ids[name]}">\n<h2>{name}</h2>\n{content}\n</section>'
            for name, content in sections.items()
        ),
    )


def number(value, digits=4):
    """A figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def _file(name):
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _name(figure):
    if figure.startswith("tar@far="):
        return f"TAR at FAR {charts.percent(float(figure.partition('=')[2]))}"
    return NAMES.get(figure, figure)


def _interval(figure):
    if figure["low"] is None:
        return ""
    return f"{number(figure['low'])} to {number(figure['high'])}"


def _cards(told):
    cards = []
    for name in CARDS:
        figure = told["figures"][name]
        interval = _interval(figure)
        about = f"95% interval {interval}" if interval else "no interval"
        cards.append(
            f'<div class="card"><dt>{_name(name)}</dt>'
            f'<dd data-figure="{name}">{number(figure["value"])}</dd><dd>{about}</dd></div>'
        )
    return f'<dl class="cards">{"".join(cards)}</dl>'


def _figures(told):
    rows = [
        f'<tr><th scope="row">{_name(name)}</th>'
        f'<td class="number" data-figure="{name}">{_value(name, figure["value"])}</td>'
        f'<td class="number" data-interval="{name}">{_interval(figure)}</td>'
        f"<td>{_meaning(name, told)}</td></tr>"
        for name, figure in told["figures"].items()
    ]
    head = _head(("figure", ""), ("value", "number"), ("95% interval", "number"), ("meaning", ""))
    return f'<div class="scroll figures"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _value(name, value):
    # A threshold is a distance, of any size.
    return f"{value:.4g}" if name == "threshold" and value is not None else number(value)


def _meaning(name, told):
    if name == "accuracy" and told["figures"][name]["value"] is not None:
        pairs = told["data"]["pairs"]
        share = max(pairs.values()) / sum(pairs.values())
        more = max(pairs, key=pairs.get)
        return f"{MEANINGS[name]}; {number(share)} if all pairs were called {more}"
    if name.startswith("tar@far="):
        target = charts.percent(float(name.partition("=")[2]))
        return f"same pairs accepted when no more than {target} of different pairs are"
    return MEANINGS.get(name, "")


def _head(*columns):
    cells = "".join(
        f'<th scope="col"{f" class={kind!r}" if kind else ""}>{name}</th>' for name, kind in columns
    )
    return f"<thead><tr>{cells}</tr></thead>"


class _Tiles:
    """Items with the name of their class, a mark for hit or miss, and their distance."""

    def __init__(self, items, names):
        self.items, self.names = items, names

    def item(self, row, label, origin):
        """The frame with the picture or text of an item; its origin shows where a pointer rests."""
        return f'<div class="item" title="{escape(origin)}">{self.items.html(row, self.names[label])}</div>'

    def query(self, told):
        neighbors = "".join(
            self._neighbor(one, place < PLAYED) for place, one in enumerate(told["neighbors"])
        )
        words = (
            f"<b>{escape(self.names[told['class']])}</b><br>{escape(told['origin'])}<br>"
            f"MAP@R {number(told['map@r'], 3)}"
        )
        item = self.item(told["row"], told["class"], told["origin"])
        own = f'<div class="tile">{item}<div>{words}{self._player(told)}</div></div>'
        return f'<div class="query">{own}<ol class="neighbors">{neighbors}</ol></div>'

    def _player(self, told):
        return self.items.player(told["row"], self.names[told["class"]])

    def _neighbor(self, told, played):
        kind, mark, word = ("hit", "✓", "hit") if told["hit"] else ("miss", "✗", "miss")
        words = (
            f'<span class="mark" role="img" aria-label="{word}">{mark}</span> '
            f'{escape(self.names[told["class"]])} <span class="distance">{told["distance"]:.3g}</span>'
            f"{self._player(told) if played else ''}"
        )
        item = self.item(told["row"], told["class"], told["origin"])
        return f'<li class="tile {kind}">{item}<div>{words}</div></li>'

    @property
    def style(self):
        return "texts" if self.items.kind == "texts" else "pictures"


def _queries(told, tiles):
    parts = [
        "<p>Every item is a query for the others. Beside a query stand its nearest neighbours, the nearest first: "
        "✓ of its class, ✗ (dashed frame) of another, with their distance. The queries shown are of different classes, "
        "as far as there are enough.</p>"
    ]
    if not told["queries"]["worst"]:
        parts.append("<p>No class has a second item, so there is nothing to find.</p>")
    for title, kind in (("Worst queries", "worst"), ("Best queries", "best")):
        if told["queries"][kind]:
            content = "".join(map(tiles.query, told["queries"][kind]))
            parts.append(f'<h3>{title}</h3><div class="{tiles.style}">{content}</div>')
    return "".join(parts)


def _curves(told, found):
    unit, verified = told["data"]["distance"], found.verified
    drawings = [
        (lambda axes: charts.roc(axes, verified), "ROC curve of all pairs"),
        (lambda axes: charts.det(axes, verified), "DET curve of all pairs"),
        (
            lambda axes: charts.histogram(axes, *found.shares, verified["threshold"], unit),
            "Histogram of the distances of same and of different pairs",
            (5.4, 3.5),
            (0.165, 0.15, 0.79, 0.7),
        ),
    ]
    hits = told["hit_at_k"]
    if hits and None not in hits.values():
        drawings.append(
            (
                lambda axes: charts.hits(axes, [int(k) for k in hits], list(hits.values())),
                "hit@k by k",
            )
        )
    figures = "".join(f"<figure>{chart(*drawing)}</figure>" for drawing in drawings)
    return f'<div class="charts">{figures}</div>'


def _classes(told, names):
    rows = told["classes"]
    head = _head(
        ("class", ""),
        ("items", "number"),
        ("hit@1", "number"),
        ("MAP@R", "number"),
        ("nearest neighbour most often wrongly of", ""),
        ("share", "number"),
    )
    lines = [
        f'<tr><th scope="row">{escape(row["name"])}</th>{_cell(row["items"], "d")}'
        f"{_cell(row['hit@1'])}{_cell(row['map@r'])}"
        f"<td>{'' if row['taken_for'] is None else escape(names[row['taken_for']])}</td>"
        f"{_cell(row['taken_for_share'], '.1%')}</tr>"
        for row in rows[:ROWS]
    ]
    some = f"{len(rows):,} classes"
    if len(rows) > ROWS:
        some = f"The {ROWS} worst of {some} (the JSON has all)"
    return _table(head, lines, "tall", f"<caption>{some}, the worst MAP@R first.</caption>")


def _table(head, lines, kind, caption=""):
    body = f"<tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll {kind}"><table class="sortable">{caption}{head}{body}</table></div>'


def _cell(value, form=".4f"):
    exact = "" if value is None else repr(value)
    return f'<td class="number" data-value="{exact}">{"–" if value is None else format(value, form)}</td>'


def _confusions(told, tiles):
    if not told["confused"]:
        return "<p>The nearest neighbour of every item is of its class.</p>"
    lines = [
        f'<tr><th scope="row">{escape(tiles.names[one["class"]])}</th>'
        f"<td>{escape(tiles.names[one['taken_for']])}</td>{_cell(one['times'], 'd')}{_cell(one['share'], '.1%')}"
        f'<td><div class="pair">{tiles.item(one["example"][0], one["class"], one["origins"][0])}'
        f"{tiles.item(one['example'][1], one['taken_for'], one['origins'][1])}</div></td></tr>"
        for one in told["confused"]
    ]
    head = _head(
        ("class", ""),
        ("nearest neighbour of", ""),
        ("times", "number"),
        ("share of the class", "number"),
        ("closest such pair", ""),
    )
    return _table(head, lines, f"tall confusions {tiles.style}")


def _map(told, found):
    data, places = found.data, found.places
    drawing = chart(
        lambda axes: charts.classes_map(
            axes, places.points, data.codes[places.rows], data.names, told["map"]["how"]
        ),
        "Map of the embeddings in two dimensions",
        size=(8, 5.6),
        box=(0.02, 0.02, 0.96, 0.9),
    )
    caption = (
        "Near on the map is near in most cases, but not always: two dimensions cannot keep all distances of "
        f"{told['data']['dimensions']}."
    )
    return f'<figure class="map">{drawing}<figcaption>{caption}</figcaption></figure>'


def _notes(told):
    notes = "".join(f"<li>{escape(note)}</li>" for note in told["notes"])
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    return f'<ul class="notes">{notes}<li>{escape(versions)}</li></ul>'
