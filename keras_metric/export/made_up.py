"""Made-up inputs, for a proof where no real ones are at hand."""

import numpy as np
import tensorflow as tf

from keras_metric import checks
from keras_metric.export import card, versions


def made_up_inputs(path, rows=8, seed=0):
    """A batch that an exported model takes: fractions in [0, 1), bytes in [0, 255], other whole numbers 0 or 1.

    Args:
        path: version folder, or its parent for the highest version.
        rows: number of rows.
        seed: of the random numbers.

    Returns:
        An array, or a dict of arrays by name for several inputs. Unknown sides, such as those of images of any size,
        are 32.

    Raises:
        ValueError: if an input is text or encoded bytes, which cannot be made up.
    """
    rows = checks.whole(rows, "rows", "made_up_inputs")
    random = np.random.default_rng(seed)
    takes = card.read(versions.version_folder(path))["signatures"]["embed"]["inputs"]
    batch = {name: made_up_input(name, one, rows, random) for name, one in takes.items()}
    return batch["inputs"] if set(batch) == {"inputs"} else batch


def made_up_input(name, one, rows, random):
    """An array for one input, of which `one` tells shape and dtype."""
    shape = [one["shape"][0] or rows, *(side or 32 for side in one["shape"][1:])]
    if one["dtype"] == "string":
        raise ValueError(
            f"`{name}` of {len(shape)} axes is text or encoded bytes and cannot be made up. "
            "Give real inputs to export.verify."
        )
    if one["dtype"] == "uint8":
        return random.integers(0, 256, shape, dtype="uint8")
    if "float" in one["dtype"]:
        return random.random(shape, "float32").astype(one["dtype"])
    return random.integers(0, 2, shape).astype(one["dtype"])


def made_up_files(height, width, channels=3, rows=8, seed=0):
    """PNG files of noise (rows,), as bytes, for a model that takes `EncodedImages`."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (rows, height, width, channels)).astype("uint8")
    return np.array([tf.io.encode_png(image).numpy() for image in images], object)
