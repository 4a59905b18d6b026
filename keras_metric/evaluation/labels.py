"""Labels of any kind as small integers or bits: integers of any size, text, sets of classes."""

import numbers

import numpy as np
from keras import ops


class Classes:
    """One class a row. `codes` (N,) are small integers, equal where labels are."""

    several = False

    def __init__(self, codes):
        self.codes = codes

    def __len__(self):
        return len(self.codes)


class ClassSets:
    """A set of classes for each row, as `bits` (N, W) of uint64; rows match if they share a class."""

    several = True

    def __init__(self, member):
        """`member` (N, C) of booleans."""
        self.member = member
        width = -(-max(member.shape[1], 1) // 64) * 64
        padded = np.zeros((len(member), width), bool)
        padded[:, : member.shape[1]] = member
        self.bits = np.packbits(padded, axis=1).view("uint64")

    def __len__(self):
        return len(self.bits)


def encode(parts, names, owner):
    """All parts in one vocabulary.

    Args:
        parts: label arrays: (N,) or (N, 1) of integers or text; (N, C) multi-hot; or a sequence of
            sets, lists or tuples of classes. Either each part has one class a row, or each has several.
        names: the arguments that they came by, for error messages.
        owner: who asks.

    Returns:
        `(encoded, vocabulary)`: a `Classes` or `ClassSets` for each part, and the list of labels by code.

    Raises:
        ValueError: for labels that are not whole numbers or text, or parts that do not go together.
    """
    arrays = [as_array(part, name, owner) for part, name in zip(parts, names, strict=True)]
    kinds = {isinstance(a, list) or a.ndim == 2 for a in arrays}
    if len(kinds) == 2:
        raise ValueError(
            f"{' and '.join(f'`{n}`' for n in names)} of {owner} must both hold one class a row or both several."
        )
    if kinds == {False}:
        codes, vocabulary = _code(arrays)
        return [Classes(code) for code in codes], vocabulary
    if all(isinstance(a, list) for a in arrays):
        return _from_sets(arrays)
    widths = {a.shape[1] if not isinstance(a, list) else None for a in arrays}
    if len(widths) > 1:
        raise ValueError(
            f"Multi-hot labels of {owner} must have the same number of columns. Received: {sorted(map(str, widths))}."
        )
    return [ClassSets(a.astype(bool)) for a in arrays], list(range(widths.pop()))


def as_array(labels, name, owner):
    """Labels as an array (N,), a multi-hot matrix (N, C), or a list of sets; never through a float."""
    if isinstance(labels, (list, tuple)):
        if labels and all(isinstance(one, (set, frozenset)) for one in labels):
            return _sets(labels, name, owner)
        if labels and all(isinstance(one, (list, tuple)) for one in labels):
            if len({len(one) for one in labels}) > 1 or len(labels[0]) != 1:
                return np.array(labels) if _multi_hot(labels) else _sets(labels, name, owner)
        return _checked(_from_list(labels), name, owner)
    if not isinstance(labels, np.ndarray):
        # Tensors may lie on a device; a pandas column, for one, is an array of its own.
        own = ops.is_tensor(labels) or not hasattr(labels, "__array__")
        labels = ops.convert_to_numpy(labels) if own else np.asarray(labels)
    return _checked(labels, name, owner)


def _sets(rows, name, owner):
    for row in rows:
        _check_each(row, name, owner)
    return [set(row) for row in rows]


def _multi_hot(rows):
    return len({len(row) for row in rows}) == 1 and {x for row in rows for x in row} <= {0, 1}


def _from_list(labels):
    # Integers past int64 would become floats, and numbers among text become text, in a plain array.
    if all(isinstance(one, (str, np.str_)) for one in labels):
        return np.array(labels, dtype=object)
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    try:
        return array.astype("int64") if all(_is_int(one) for one in labels) else _plain(array)
    except OverflowError:
        return array


def _plain(array):
    kinds = {type(one) for one in array}
    mixed = len(kinds) > 1 and any(issubclass(kind, (str, bytes)) for kind in kinds)
    return array if mixed else np.array(array.tolist())


def _is_int(one):
    return isinstance(one, (int, np.integer)) and not isinstance(one, (bool, np.bool_))


def _checked(array, name, owner):
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2):
        raise ValueError(
            f"`{name}` of {owner} must be labels (N,) or (N, 1), or multi-hot (N, C). Received: shape {array.shape}."
        )
    if array.dtype.kind == "f":
        wrong = ~np.isfinite(array) | (array != np.floor(array))
        if wrong.any():
            raise ValueError(
                f"`{name}` of {owner} must be whole numbers or text. "
                f"Received: {array[wrong][0]!r} among {int(wrong.sum())} like it."
            )
        if np.all(np.abs(array) < 2.0**63):
            array = array.astype("int64")
    if array.dtype.kind not in "iufbSUO":
        raise ValueError(
            f"`{name}` of {owner} must be whole numbers or text. Received: dtype {array.dtype}."
        )
    if array.dtype.kind == "O":
        _check_each(array.ravel(), name, owner)
    if array.ndim == 2:
        _check_multi_hot(array, name, owner)
    return array


def _check_each(values, name, owner):
    for one in values:
        if not isinstance(one, (str, bytes, numbers.Integral, np.bool_)):
            raise ValueError(
                f"`{name}` of {owner} must be whole numbers or text. Received: {one!r} among them."
            )


def _check_multi_hot(array, name, owner):
    if array.dtype.kind in "SU" or not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"`{name}` of {owner} of shape (N, C) must be multi-hot, 0 or 1. Received: {array[:1].tolist()!r} first. "
            "Give several labels of a row as a list or set."
        )


def _code(arrays):
    """Codes (N,) of every array and the labels by code, in order where labels can be ordered."""
    uniques, inverses = [], []
    for array in arrays:
        if array.dtype.kind == "O":
            index, values = {}, [_value(one) for one in array]
            inverses.append(np.array([index.setdefault(v, len(index)) for v in values], "int64"))
            uniques.append(list(index))
        else:
            values, inverse = np.unique(array, return_inverse=True)
            inverses.append(inverse.reshape(-1))
            uniques.append([_value(one) for one in values.tolist()])
    every = {value for values in uniques for value in values}
    try:
        vocabulary = sorted(every)
    except TypeError:
        vocabulary = sorted(every, key=lambda one: (type(one).__name__, str(one)))
    index = {value: code for code, value in enumerate(vocabulary)}
    codes = [
        np.array([index[value] for value in values], "int32")[inverse]
        if len(inverse)
        else np.zeros(0, "int32")
        for values, inverse in zip(uniques, inverses, strict=True)
    ]
    return codes, vocabulary


def _value(one):
    if isinstance(one, bytes):
        return one.decode("utf-8", errors="replace")
    return one.item() if isinstance(one, np.generic) else one


def _from_sets(parts):
    present = [_from_list(sorted({x for row in rows for x in row}, key=str)) for rows in parts]
    vocabulary = _code(present)[1]
    index = {value: code for code, value in enumerate(vocabulary)}
    encoded = []
    for rows in parts:
        member = np.zeros((len(rows), len(vocabulary)), bool)
        for i, row in enumerate(rows):
            member[i, [index[_value(one)] for one in row]] = True
        encoded.append(ClassSets(member))
    return encoded, vocabulary
