"""Argument checks with one message format.

Every message names the argument, its owner, the rule, what came and, where there is one, the way out:

    `margin` of TripletLoss must be >= 0. Received: margin=-0.2.
"""

import math
import numbers

import numpy as np
from keras import ops


def fail(argument, owner, rule, received, way_out=""):
    """Raises the ValueError that all checks of the library share."""
    came = f"{argument}={received!r}"
    raise ValueError(f"`{argument}` of {owner} must {rule}. Received: {came}. {way_out}".rstrip())


def number(value, argument, owner, *, at_least=None, above=None, at_most=None, below=None):
    """A finite real number within the given bounds, as a float."""
    rules = [
        f"{sign} {bound}"
        for sign, bound in ((">=", at_least), (">", above), ("<=", at_most), ("<", below))
        if bound is not None
    ]
    rule = "be a finite number" + (" " + " and ".join(rules) if rules else "")
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        fail(argument, owner, rule, value)
    within = (
        (at_least is None or value >= at_least)
        and (above is None or value > above)
        and (at_most is None or value <= at_most)
        and (below is None or value < below)
    )
    if not within:
        fail(argument, owner, rule, value)
    return float(value)


def whole(value, argument, owner, *, at_least=1):
    """An integer not below `at_least`, as an int."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < at_least:
        fail(argument, owner, f"be a whole number >= {at_least}", value)
    return int(value)


def wholes(values, argument, owner, *, at_least=1):
    """One or several different integers not below `at_least`, as a tuple of ints."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    several = tuple(values) if isinstance(values, (list, tuple, range)) else (values,)
    if not several or len(set(several)) < len(several):
        fail(argument, owner, "be one or several different whole numbers", values)
    return tuple(whole(value, argument, owner, at_least=at_least) for value in several)


def choice(value, argument, owner, options):
    """One of a few allowed values."""
    if value not in options:
        fail(argument, owner, f"be one of {list(options)}", value)
    return value


def given(value, argument, owner):
    """Refuses None, which Keras hands over where `fit` got no targets."""
    if value is None:
        fail(argument, owner, "be given", value, "Hand targets to fit, evaluate or the loss.")
    return value


def embeddings(x, argument, owner):
    """A floating matrix (rows, dimensions); the rank must be known."""
    if len(x.shape) != 2:
        fail_shape(
            argument, owner, "have the shape (batch, dimensions)", x,
            "Flatten or pool what the encoder gives, for example with GlobalAveragePooling2D.",
        )  # fmt: skip
    return x


def fail_shape(argument, owner, rule, tensor, way_out=""):
    """Raises the ValueError for a wrong shape."""
    raise ValueError(
        f"`{argument}` of {owner} must {rule}. Received: shape {tuple(tensor.shape)}. {way_out}".rstrip()
    )


def same_rows(a, a_name, b, b_name, owner):
    """Refuses two tensors whose known numbers of rows differ."""
    rows_a, rows_b = a.shape[0], b.shape[0]
    if isinstance(rows_a, int) and isinstance(rows_b, int) and rows_a != rows_b:
        raise ValueError(
            f"`{a_name}` and `{b_name}` of {owner} must have the same number of rows. "
            f"Received: shapes {tuple(a.shape)} and {tuple(b.shape)}."
        )


def is_concrete(tensor):
    """Whether the values of a tensor can be read now (eagerly), rather than being traced."""
    try:
        ops.convert_to_numpy(tensor)
    except Exception:  # every backend raises its own kind for a traced tensor
        return False
    return True
