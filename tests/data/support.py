"""What the tests of the data room share: χ² and reading a dataset."""

import math

import numpy as np


def chi_square_p(counts, expected=None):
    """p-value of the χ² test that counts come from equal (or the given) expectations.

    By the cube-root normal approximation of Wilson and Hilferty, good to a few percent of p from 5 degrees on.
    """
    counts = np.asarray(counts, "float64")
    expected = np.full(len(counts), counts.mean()) if expected is None else np.asarray(expected)
    statistic, freedom = np.sum((counts - expected) ** 2 / expected), len(counts) - 1
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    return 0.5 * math.erfc(z / math.sqrt(2))


def drained(dataset):
    """All elements of one epoch as NumPy."""
    return list(dataset.as_numpy_iterator())


def rows_of(dataset):
    """The inputs of one epoch, stacked; with x = arange these are the rows drawn."""
    return np.stack([x for x, _ in drained(dataset)])
