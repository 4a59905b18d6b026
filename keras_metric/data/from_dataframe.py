"""P×K batches from a pandas DataFrame of files."""

import os
from pathlib import Path

from keras_metric import checks
from keras_metric.data.loading import load_image
from keras_metric.data.pk_batches import prepared_pk_batches
from keras_metric.data.report import few

_OWNER = "from_dataframe"


def from_dataframe(
    frame,
    path="path",
    label="label",
    group=None,
    hierarchy=None,
    root=None,
    map_fn=None,
    image_size=(64, 64),
    channels=3,
    **kwargs,
):
    """P×K batches of the files that a table lists.

    Args:
        frame: pandas `DataFrame`, one row a file.
        path, label: names of its columns of file paths and of labels (texts or integers, see `pk_batches`).
        group, hierarchy: names of columns for the arguments of `pk_batches` of that name, or None.
        root: folder to which paths are relative; None: the working folder.
        map_fn: TensorFlow function of a path; None: `load_image(image_size, channels)`. For sounds: `load_sound`.
        image_size, channels: of `load_image`.
        **kwargs: of `pk_batches`.

    Raises:
        ValueError: for columns that are not there, and rows without a path or a label, by number.
    """
    if not hasattr(frame, "columns") or not hasattr(frame, "iloc"):
        raise TypeError(
            f"`frame` of {_OWNER} must be a pandas DataFrame. Received: {type(frame).__name__}."
        )
    columns = {"path": path, "label": label, "group": group, "hierarchy": hierarchy}
    for argument, name in columns.items():
        if name is not None and name not in frame.columns:
            checks.fail(
                argument, _OWNER, f"be one of the columns {list(map(str, frame.columns))}", name
            )
        if name is not None and frame[name].isna().any():
            rows = frame[name].isna().to_numpy().nonzero()[0]
            raise ValueError(
                f"The column {name!r} of {_OWNER} has nothing in {len(rows)} rows ({few(list(map(str, rows)))}). "
                "Drop these rows: frame.dropna()."
            )
    files = [os.fspath(file) for file in frame[path]]
    if root is not None:
        files = [str(Path(root) / file) for file in files]
    chosen = {
        name: frame[columns[name]].to_numpy()
        for name in ("group", "hierarchy")
        if columns[name] is not None
    }
    return prepared_pk_batches(
        files,
        frame[label].to_numpy(),
        _OWNER,
        map_fn=map_fn or load_image(image_size, channels),
        **chosen,
        **kwargs,
    )
