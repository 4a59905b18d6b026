"""From sums for each anchor to losses `(batch,)` whose plain mean is the wanted average.

A loss hands Keras one value for each row, so that `reduction`, `sample_weight` and replica scaling keep their
meaning. Rows that do not count are exactly 0, and the factor batch / (number that counts) takes them out of the
denominator.
"""

from keras import ops

from keras_metric import checks
from keras_metric.tensors.numerics import row_count

AVERAGINGS = ("terms", "active_terms", "anchors")


def check_averaging(value, owner):
    """The value itself, if it is one of `AVERAGINGS`."""
    return checks.choice(value, "averaging", owner, AVERAGINGS)


def mean_over_anchors(values, counts):
    """Mean of `values` (B,) over the anchors with counts > 0, as (B,)."""
    valid = ops.cast(counts > 0, values.dtype)
    return ops.where(counts > 0, values, ops.zeros_like(values)) * _share(valid)


def mean_over_terms(sums, counts):
    """Mean over all terms: `sums` (B,) of each anchor's terms and their weights `counts` (B,), as (B,)."""
    return sums * _share(counts)


def average(sums, counts, active, averaging):
    """`sums` (B,) of terms averaged by name, as (B,).

    Args:
        sums: sum of each anchor's weighted terms, (B,).
        counts: weight of all of each anchor's terms, (B,).
        active: weight of those of them that are > 0, (B,).
        averaging: `"terms"` mean over all terms; `"active_terms"` mean over terms > 0; `"anchors"` mean over
            anchors of the mean over their terms.
    """
    if averaging == "anchors":
        return mean_over_anchors(
            sums / ops.where(counts > 0, counts, ops.ones_like(counts)), counts
        )
    return mean_over_terms(sums, counts if averaging == "terms" else active)


def _share(counts):
    total = ops.sum(ops.stop_gradient(counts))
    # A total of 0 has nothing to share: the sums are 0 too.
    return row_count(counts) / ops.where(total > 0, total, ops.ones_like(total))
