"""P×K batches from TFRecord files."""

import numpy as np
import tensorflow as tf

from keras_metric import checks
from keras_metric.data.pk_batches import prepared_pk_batches
from keras_metric.data.readable import plain, reason
from keras_metric.data.report import few

_OWNER = "from_tfrecords"
_FRAME = 16  # bytes of a file around every record: length and two checksums


def from_tfrecords(pattern, parse, *, compression=None, on_error="raise", **kwargs):
    """P×K batches of the examples of TFRecord files, parsed once and held in memory.

    Hold what is small: let `parse` give encoded images and decode them in `map_fn`. For more than fits into memory,
    `from_stream(tf.data.TFRecordDataset(files).map(parse))`.

    Args:
        pattern: path, pattern such as `"train-*.tfrecord"`, or list of them.
        parse: TensorFlow function from a serialised record to `(x, y)`.
        compression: None, `"GZIP"` or `"ZLIB"`.
        on_error: "skip" leaves out records that cannot be read or parsed, and what follows them in a damaged file; one
            warning and the report list them.
        **kwargs: of `pk_batches`.

    Raises:
        ValueError: where no file matches, and for unreadable records, by file and number.
    """
    checks.choice(on_error, "on_error", _OWNER, ("raise", "skip"))
    checks.choice(compression, "compression", _OWNER, (None, "GZIP", "ZLIB"))
    examples, broken = [], []
    for file in _files(pattern):
        parsed, lost = _examples(file, parse, compression)
        examples += parsed
        broken += lost
    if broken and on_error == "raise":
        raise ValueError(
            f"{_OWNER} cannot read {few([f'{item} ({why})' for item, why in broken], between='; ')}. "
            'Repair the files or leave this out with on_error="skip".'
        )
    if not examples:
        raise ValueError(f"{_OWNER} finds no readable record in {pattern!r}.")
    x, y = zip(*examples, strict=True)
    return prepared_pk_batches(
        _stacked(x), np.stack(y), _OWNER, on_error=on_error, already_skipped=broken, **kwargs
    )


def _files(pattern):
    patterns = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    found = [sorted(tf.io.gfile.glob(str(one))) for one in patterns]
    missing = [str(one) for one, files in zip(patterns, found, strict=True) if not files]
    if missing or not found:
        checks.fail(
            "pattern", _OWNER, "match files that are there", missing[0] if missing else pattern
        )
    return [file for files in found for file in files]


def _examples(file, parse, compression):
    """Parsed examples of a file, and `(item, reason)` of what could not be read."""
    records, lost = [], []
    try:
        for record in tf.data.TFRecordDataset(file, compression or "").as_numpy_iterator():
            records.append(record)
    except tf.errors.OpError as error:
        lost.append((f"{file} from record {len(records)} on", plain(error)))
    else:
        length = sum(len(record) + _FRAME for record in records)
        if (
            not compression and tf.io.gfile.stat(file).length != length
        ):  # TensorFlow takes this for the end
            lost.append((f"{file} from record {len(records)} on", "the file ends within a record"))
    if not records:
        return [], lost
    numbered = tf.data.Dataset.from_tensor_slices(records).enumerate()

    def parsed(number, record):
        return number, parse(record)

    whole = numbered.map(parsed, num_parallel_calls=tf.data.AUTOTUNE).ignore_errors()
    numbers, examples = [], []
    for number, example in whole.as_numpy_iterator():
        _check(example)
        numbers.append(int(number))
        examples.append(example)
    for row in np.setdiff1d(np.arange(len(records)), numbers):
        lost.append(
            (f"record {row} of {file}", reason(parse, tf.constant(records[row])) or "unknown")
        )
    return examples, lost


def _check(example):
    if not isinstance(example, tuple) or len(example) != 2 or np.ndim(example[1]) > 1:
        raise ValueError(
            f"`parse` of {_OWNER} must give (x, y) with one label. Received: {type(example).__name__}."
        )


def _stacked(rows):
    """Nested arrays with a row an example."""

    def stack(*parts):
        shapes = {np.shape(part) for part in parts}
        if len(shapes) > 1:
            raise ValueError(
                f"`parse` of {_OWNER} gives x of {len(shapes)} shapes, {sorted(shapes)[:2]}, …. Bring them to one, "
                "or keep them encoded and decode in map_fn."
            )
        return np.stack(parts) if not isinstance(parts[0], bytes) else np.asarray(parts, object)

    return tf.nest.map_structure(stack, *rows)
