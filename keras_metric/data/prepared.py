"""What every pipeline from examples in memory begins with: checked inputs and a selection of their rows."""

from keras_metric import checks
from keras_metric.data.labels import label_array
from keras_metric.data.readable import loader, namer, try_one, unreadable
from keras_metric.data.rows import as_rows
from keras_metric.data.selection import select


def prepare(
    x, y, owner, map_fn=None, on_error="raise", several=False, already_skipped=(), **selection
):
    """Inputs as tensors and the `Selection` of their labels, with a warning for everything left out.

    Args:
        x, y, map_fn, on_error: see `pk_batches`.
        several: whether rows may have several labels.
        already_skipped: `(item, reason)` of what a source could not read, for the report.
        **selection: of `select`.
    """
    x, skipped = as_rows(x, _count(y, owner), owner, on_error)
    if on_error == "skip" and map_fn is not None:
        skipped = sorted(dict(skipped + unreadable(x, map_fn, _count(y, owner))).items())
    named = [*already_skipped, *((namer(x)(row), why) for row, why in skipped)]
    chosen = select(y, owner, [row for row, _ in skipped], named, several=several, **selection)
    chosen.report.warn(owner)
    if map_fn is not None:
        try_one(loader(x, map_fn), chosen.table.order[0], namer(x), owner)
    return x, chosen


def _count(y, owner):
    try:
        return len(y)
    except TypeError:
        label_array(y, "y", owner)  # says what is wrong with most of what has no length
        checks.fail("y", owner, "be a sequence of labels", y)
