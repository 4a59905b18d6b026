"""P×K batches from TensorFlow Datasets."""

import numpy as np

from keras_metric import extras
from keras_metric.data.pk_batches import prepared_pk_batches


def from_tfds(name, split="train", *, x_key=None, y_key=None, data_dir=None, **kwargs):
    """P×K batches of a split of TensorFlow Datasets, held in memory.

    Args:
        name: name of the data set, with or without config and version: `"cifar100"`.
        split: `"train"`, `"test[:10%]"`, …
        x_key, y_key: names of the features to use; None: those that the data set itself calls supervised.
        data_dir: folder of prepared data sets.
        **kwargs: of `pk_batches`.

    Returns:
        `tf.data.Dataset` as of `pk_batches`. Examples of different lengths (sound) are padded with zeros at the end;
        images must have one size.

    Raises:
        ValueError: for a data set that is unknown or cannot be had, with what to do.
    """
    x, y = load_tfds(name, split, x_key, y_key, data_dir)
    return prepared_pk_batches(x, y, "from_tfds", **kwargs)


def load_tfds(name, split="train", x_key=None, y_key=None, data_dir=None):
    """Arrays `(x, y)` of a split; see `from_tfds`."""
    tfds = extras.require("tensorflow_datasets", extra="data")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare()
        examples = list(tfds.as_numpy(builder.as_dataset(split=split)))
    except (
        Exception
    ) as error:  # unknown, not prepared and no network, no such split: TFDS has a kind for each
        text = str(error).strip()
        first = text.splitlines()[0] if text else type(error).__name__
        raise ValueError(
            f"The TFDS data set {name!r} (split {split!r}) could not be had: {first} "
            "Check name and split; without network, prepare it elsewhere and give its folder as data_dir."
        ) from error
    keys = _keys(builder, x_key, y_key, name)
    if not examples:
        raise ValueError(f"The split {split!r} of the TFDS data set {name!r} holds no examples.")
    x, y = ([example[key] for example in examples] for key in keys)
    return _stacked(x, name), np.asarray(y)


def _keys(builder, x_key, y_key, name):
    supervised = builder.info.supervised_keys or (None, None)
    keys = (x_key or supervised[0], y_key or supervised[1])
    known = list(builder.info.features)
    for argument, key in zip(("x_key", "y_key"), keys, strict=True):
        if key not in known:
            raise ValueError(
                f"`{argument}` of from_tfds must be a feature of {name!r}, one of {known}. Received: {key!r}."
            )
    return keys


def _stacked(rows, name):
    shapes = {np.shape(row) for row in rows}
    if len(shapes) == 1:
        return np.stack(rows)
    if any(len(shape) != 1 for shape in shapes):
        raise ValueError(
            f"The examples of {name!r} differ in size, {len(shapes)} sizes in all. "
            "Bring them to one size and use data.pk_batches."
        )
    padded = np.zeros((len(rows), max(len(row) for row in rows)), rows[0].dtype)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded
