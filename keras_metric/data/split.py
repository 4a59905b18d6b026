"""Train and test rows, by class or by item."""

import numpy as np

from keras_metric import checks
from keras_metric.data.labels import label_array

_OWNER = "split"


def split(y, test_fraction=0.2, by="class", group=None, seed=0):
    """Numbers of the rows to train on and of those to test on.

    Args:
        y: N labels.
        test_fraction: share of the classes (`by="class"`) or of the rows of each class that are held out, in (0, 1).
        by: `"class"` holds whole classes out: the honest test of an encoder that will meet new classes. `"item"` holds
            out rows of every class, at least one of each class that has two, and keeps one.
        group: N ids; with `by="item"` all rows of a group (one recording, one session) stay on one side.
        seed: the same seed and labels give the same split.

    Returns:
        `(train, test)`, int64, each sorted.

    Raises:
        ValueError: with `by="class"` and one class, or where nothing would be left on a side.
    """
    fraction = checks.number(test_fraction, "test_fraction", _OWNER, above=0, below=1)
    checks.choice(by, "by", _OWNER, ("class", "item"))
    labels = label_array(y, "y", _OWNER)
    names, dense = np.unique(labels, return_inverse=True)
    random = np.random.default_rng(checks.whole(seed, "seed", _OWNER, at_least=0))
    if by == "class":
        if len(names) < 2:
            raise ValueError(f'{_OWNER} with by="class" needs two or more classes. Received: one.')
        held = random.permutation(len(names))[
            : min(max(1, round(fraction * len(names))), len(names) - 1)
        ]
        out = np.isin(dense.reshape(-1), held)
    elif group is None:
        out = _rows_out(dense.reshape(-1), fraction, random)
    else:
        groups = label_array(group, "group", _OWNER)
        if len(groups) != len(labels):
            checks.fail(
                "group", _OWNER, f"have a row for each of the {len(labels)} labels", len(groups)
            )
        _, of_group = np.unique(groups, return_inverse=True)
        out = _groups_out(dense.reshape(-1), of_group.reshape(-1), fraction, random)
    if out.all() or not out.any():
        raise ValueError(
            f"{_OWNER} would leave one side empty: {len(labels)} rows, {len(names)} classes."
        )
    return np.flatnonzero(~out), np.flatnonzero(out)


def _rows_out(dense, fraction, random):
    out = np.zeros(len(dense), bool)
    order = np.argsort(dense, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(dense))[:-1]):
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        out[random.permutation(rows)[:count]] = True
    return out


def _groups_out(dense, of_group, fraction, random):
    """Whole groups, class by class, until each class has its share; never the last group of a class."""
    out = np.zeros(of_group.max() + 1, bool)
    decided = np.zeros(of_group.max() + 1, bool)
    for label in random.permutation(dense.max() + 1):
        rows = of_group[dense == label]
        groups, sizes = np.unique(rows, return_counts=True)
        wanted = fraction * len(rows)
        have = sizes[out[groups]].sum()
        free = np.flatnonzero(~decided[groups])
        kept = (decided[groups] & ~out[groups]).any()
        for place in random.permutation(free)[: len(free) if kept else max(len(free) - 1, 0)]:
            if have + sizes[place] / 2 > wanted and have > 0:
                break
            out[groups[place]] = True
            have += sizes[place]
        decided[groups] = True
    return out[of_group]
