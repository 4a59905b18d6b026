"""`keras-metric data inspect`: a data set looked over before training."""

from pathlib import Path

from keras_metric import extras
from keras_metric.cli import sources
from keras_metric.cli.problems import Failure
from keras_metric.cli.records import written_whole

NAME = "data"
SUMMARY = "look a data set over: classes, broken files, duplicates"
EXAMPLE = (
    "keras-metric data inspect saved_models/digits/train.npz --sheet saved_models/digits/sheet.png"
)
DESCRIPTION = """
`inspect` reads every file of a folder with one sub-folder of images or sounds a class (or every row of an .npz file)
and shows classes and counts, classes with a single example, broken files, duplicates (same bytes) and a contact sheet.
"""
_SHOWN = 20


def add_arguments(parser):
    """Options of the command."""
    parser.add_argument("action", choices=("inspect",), help="what to do")
    parser.add_argument(
        "path",
        type=Path,
        metavar="PATH",
        help="a folder with one sub-folder a class, or an .npz file",
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE",
        help="the contact sheet, a PNG (default: NAME-contact-sheet.png in the working folder)",
    )  # fmt: skip
    parser.add_argument("--no-sheet", action="store_true", help="write no contact sheet")
    parser.add_argument(
        "--all", action="store_true", help="list everything, not the first 20 of a kind"
    )


def run(arguments):
    """Inspects and prints."""
    from keras_metric.data import inspection  # here, as it brings TensorFlow

    path = arguments.path
    if path.is_dir():
        found = inspection.inspect_folder(path)
    elif path.is_file():
        examples = sources.read_arrays(path)
        found = inspection.inspect_arrays(examples.x, [examples.class_names[c] for c in examples.y])
    else:
        raise Failure(f"{path}: no such folder or file")
    most = None if arguments.all else _SHOWN
    print("\n".join(_lines(path, found, most)))
    if not arguments.no_sheet:
        sheet = inspection.contact_sheet(found)
        if sheet is None:
            print("contact sheet: none, there are no images")
            return
        target = arguments.sheet or Path(f"{path.resolve().stem}-contact-sheet.png")
        with written_whole(target) as unfinished:
            extras.require("PIL.Image", extra="data").fromarray(sheet).save(
                unfinished, format="PNG"
            )
        print(f"contact sheet: {target}")


def _lines(path, found, most):
    total = sum(found.counts.values())
    yield f"{path}: {len(found.counts)} classes, {total} examples"
    counts = found.counts.values()
    yield f"examples a class: {min(counts)} to {max(counts)}, {total / len(counts):.1f} on average"
    width = max(map(len, found.counts))
    yield from _some([f"  {name:<{width}}  {count}" for name, count in found.counts.items()], most)
    yield from _named("classes with a single example", found.singletons, most)
    yield from _named("classes without a readable example", found.empty, most)
    yield from _named("broken", [f"{item} ({why})" for item, why in found.broken], most)
    yield from _named(
        "duplicates (same bytes)", [_equal(group) for group in found.duplicates], most
    )
    if found.other_files:
        yield f"files of other kinds, passed over: {found.other_files}"


def _equal(group):
    different = len({name for _, name in group}) > 1
    return " = ".join(item for item, _ in group) + (" (in different classes!)" if different else "")


def _named(title, items, most):
    yield f"{title}: {len(items) or 'none'}"
    yield from _some([f"  {item}" for item in items], most)


def _some(lines, most):
    yield from lines[:most]
    if most is not None and len(lines) > most:
        yield f"  … and {len(lines) - most} more (--all)"
