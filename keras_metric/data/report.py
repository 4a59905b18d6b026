"""What a pipeline holds and what it leaves out, for people and for programs."""

import warnings
from typing import Any, NamedTuple


class Report(NamedTuple):
    """What stands behind a dataset of this room; its attribute `report`.

    `print(dataset.report)` says it in words.
    """

    counts: dict[Any, int]  # class → examples, of the classes that take part
    small: dict[Any, int]  # class → examples, of those left out for having too few
    skipped: list[tuple[str, str]]  # (file or row, reason) of what could not be read

    def __str__(self):
        lines = ["a stream, whose classes nobody knows"]
        if self.counts:
            lines = [f"{len(self.counts)} classes, {sum(self.counts.values())} examples"]
        if self.small:
            lines.append(f"left out {left_out(self.small)}")
        if self.skipped:
            lines.append(f"skipped {skipped(self.skipped)}")
        return "\n".join(lines)

    def warn(self, owner):
        """One warning a kind of what is missing."""
        if self.small:
            warnings.warn(f"{owner} left out {left_out(self.small)}.", stacklevel=4)
        if self.skipped:
            warnings.warn(f"{owner} skipped {skipped(self.skipped)}.", stacklevel=4)


def left_out(small):
    """Classes with their numbers of examples, the first few by name."""
    return f"{len(small)} classes with too few examples: " + few(
        [f"{name!r} ({count})" for name, count in small.items()]
    )


def skipped(items):
    """Unreadable items with their reasons, the first few."""
    return f"{len(items)} unreadable: " + few([f"{item} ({reason})" for item, reason in items])


def few(texts, most=5, between=", "):
    """The first texts, with a sign if there are more."""
    return between.join(texts[:most]) + (f"{between}…" if len(texts) > most else "")
