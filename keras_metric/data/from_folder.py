"""P×K batches from a folder of images or sounds, one sub-folder a class."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from keras_metric import checks, extras
from keras_metric.data.depth import eight_bits
from keras_metric.data.folders import Files, folder_files
from keras_metric.data.loading import load_image, load_sound, sides
from keras_metric.data.pk_batches import prepared_pk_batches
from keras_metric.data.readable import plain
from keras_metric.data.report import few
from keras_metric.data.split import split

_OWNER = "from_folder"


def from_folder(
    path,
    image_size=(64, 64),
    channels=3,
    *,
    kind=None,
    sound_length=None,
    subset=None,
    test_fraction=0.2,
    split_by="class",
    split_seed=0,
    in_memory=True,
    on_error="raise",
    **kwargs,
):
    """P×K batches of the images or sounds of a folder.

    Args:
        path: folder with one sub-folder a class; ids 0 … C−1 in the order of the sub-folders' names. Files of deeper
            folders belong to the class on top; hidden files and files of other kinds are passed over.
        image_size: height and width, or one number for both, to which images are resized (bilinear); uint8.
        channels: 1 (grey) or 3 (RGB).
        kind: `"image"`, `"sound"` (16-bit WAV), or None for what is there.
        sound_length: samples of a sound, float32 in [-1, 1]: longer ones are cut, shorter ones filled up with zeros.
            None: of the longest, if `in_memory`.
        subset: `"train"` or `"test"` of the folder; None: all of it.
        test_fraction, split_by, split_seed: of `split`. By `"class"` the ids are numbered within the subset.
        in_memory: False reads files while training instead of now (PNG, JPEG, GIF and BMP only).
        on_error: "skip" leaves out files that cannot be read and classes without files; one warning and the report
            (attribute `report`) list them.
        **kwargs: of `pk_batches`. `group`, and `hierarchy` by row, have an entry for every file of the folder in the
            order of names, whatever is left out; dicts of `hierarchy` and `class_weights` go by id or name of the
            sub-folder.

    Raises:
        ValueError: for a folder without files, an empty class, and unreadable files, each by name.
    """
    listed = folder_files(path, kind, on_error)
    files = _subset(listed, subset, test_fraction, split_by, split_seed)
    if not in_memory:
        if kwargs.get("map_fn"):
            raise ValueError(
                f"{_OWNER} takes `map_fn` only with in_memory=True; hand paths to pk_batches instead."
            )
        load = _map_fn(files.kind, image_size, channels, sound_length)
        return prepared_pk_batches(
            [str(file) for file in files.paths],
            files.ids,
            _OWNER,
            map_fn=load,
            on_error=on_error,
            **_of_files(kwargs, listed, files),
        )
    x, files, broken = _load(files, image_size, channels, sound_length, on_error)
    empty = [(f"class {name!r}", "no files") for name in files.empty]
    kwargs = _of_files(kwargs, listed, files)
    return prepared_pk_batches(
        x, files.ids, _OWNER, on_error=on_error, already_skipped=empty + broken, **kwargs
    )


def load_folder(
    path, image_size=(64, 64), channels=3, kind=None, sound_length=None, on_error="raise"
):
    """`(x, ids (N,), names of the classes)`, x images (N, height, width, channels) or sounds (N, samples).

    For evaluation, or for `pairs` and `triplets`; for the arguments see `from_folder`.
    """
    files = folder_files(path, kind, on_error)
    x, files, _ = _load(files, image_size, channels, sound_length, on_error)
    return x, files.ids, files.names


def _subset(files, subset, test_fraction, split_by, split_seed):
    if checks.choice(subset, "subset", _OWNER, (None, "train", "test")) is None:
        return files
    rows = split(files.ids, test_fraction, split_by, seed=split_seed)[subset == "test"]
    files = files.rows(rows)
    if split_by == "item":
        return files
    present, ids = np.unique(files.ids, return_inverse=True)
    return files._replace(ids=ids.astype("int64"), names=[files.names[i] for i in present])


def _of_files(kwargs, listed, files):
    """The selection of `pk_batches` for the files that are left of those listed."""
    place = {path: row for row, path in enumerate(listed.paths)}
    rows = [place[path] for path in files.paths]
    ids = {name: number for number, name in enumerate(files.names)}
    gone = set(listed.names) - set(files.names)
    chosen = dict(kwargs)
    for argument in {"group", "hierarchy", "class_weights"} & set(kwargs):
        value = kwargs[argument]
        if isinstance(value, dict):
            chosen[argument] = {ids.get(key, key): v for key, v in value.items() if key not in gone}
        elif argument != "class_weights" and value is not None and len(value) == len(place):
            value = list(value)
            chosen[argument] = [value[row] for row in rows]
    return chosen


def _map_fn(kind, image_size, channels, sound_length):
    if kind == "image":
        return load_image(image_size, channels)
    if sound_length is None:
        raise ValueError(f"{_OWNER} needs `sound_length` with in_memory=False.")
    return load_sound(sound_length)


def _load(files: Files, image_size, channels, sound_length, on_error):
    """Arrays of all files that can be read, those files, and `(file, reason)` of the others."""
    checks.choice(on_error, "on_error", _OWNER, ("raise", "skip"))
    if files.kind == "image":
        height, width = sides(image_size, _OWNER)
        checks.choice(channels, "channels", _OWNER, (1, 3))
        extras.require("PIL.Image", extra="data")
        x, broken = _read_all(files.paths, lambda file: _pixels(file, height, width, channels))
    else:
        x, broken = _read_all(files.paths, _samples)
    if broken and on_error == "raise":
        listed = few([f"{files.paths[row]} ({why})" for row, why in broken], between="; ")
        raise ValueError(
            f"{_OWNER} cannot read {len(broken)} of {len(files.paths)} {files.kind}s: {listed}. "
            'Remove or replace them, or leave them out with on_error="skip".'
        )
    good = np.setdiff1d(np.arange(len(files.paths)), [row for row, _ in broken])
    if not len(good):
        raise ValueError(
            f"{_OWNER} can read none of {len(files.paths)} files: {files.paths[0]} ({broken[0][1]}), …."
        )
    if files.kind == "sound":
        x = _padded(x, sound_length)
    return np.stack(x), files.rows(good), [(str(files.paths[row]), why) for row, why in broken]


def _read_all(paths, read):
    """What `read` gives for the files that it can read, and `(row, reason)` of the others."""

    def attempt(file):
        try:
            return read(file), None
        except Exception as error:  # Pillow raises many kinds for broken files
            return None, plain(error)

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(attempt, paths))
    broken = [(row, why) for row, (_, why) in enumerate(done) if why is not None]
    return [content for content, why in done if why is None], broken


def _pixels(file, height, width, channels):
    from PIL import Image

    with Image.open(file) as image:
        image = eight_bits(image).convert("RGB" if channels == 3 else "L")
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(height, width, channels)


def _samples(file):
    with tf.device("/CPU:0"):
        samples, rate = tf.audio.decode_wav(file.read_bytes())
    return samples.numpy().mean(axis=1), int(rate)


def _padded(sounds, length):
    rates = {rate for _, rate in sounds}
    if len(rates) > 1:
        raise ValueError(
            f"{_OWNER} finds sounds of different sampling rates: {sorted(rates)}. Bring them to one."
        )
    if length is None:
        length = max(len(samples) for samples, _ in sounds)
    padded = np.zeros((len(sounds), checks.whole(length, "sound_length", _OWNER)), "float32")
    for target, (samples, _) in zip(padded, sounds, strict=True):
        target[: len(samples)] = samples[:length]
    return padded
