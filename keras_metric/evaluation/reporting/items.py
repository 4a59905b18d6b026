"""How an item of a data set looks in a page: a small picture, a spectrogram, or a piece of text."""

import base64
import io
import wave
from html import escape

import numpy as np

from keras_metric import checks, extras
from keras_metric.evaluation import rows
from keras_metric.evaluation.charts import shortened
from keras_metric.evaluation.pictures import as_images, is_images, span, to_pixels

OWNER = "report"
SIDE = 96  # pixels of a picture, at most
LOSSLESS = 48  # up to this side, pictures are PNG; larger ones in colour JPEG
TEXT = 180  # characters
LOOKED_AT = 256  # items that tell the span of values
FRAME = 256  # samples of a spectrum
DECIBELS = 60  # below the loudest, all is black
SECONDS, RATE = 2, 16000  # of a sound that can be played, and samples a second, at most
KINDS = ("auto", "images", "sounds", "spectrograms", "texts", "nothing")


def items_of(inputs, show, count, sample_rate=None):
    """Something with `html(row, name)`, `player(row, name)` and `kind`.

    Args:
        inputs: N images, waveforms, spectrograms or texts, or None.
        show: one of `KINDS`. `"auto"`: texts and images, and lists of waveforms of several lengths, are recognised.
        count: N.
        sample_rate: samples a second of waveforms, which are then sounds for `"auto"` and can be played; or None.
    """
    checks.choice(show, "show", OWNER, KINDS)
    if sample_rate is not None:
        checks.number(sample_rate, "sample_rate", OWNER, above=0)
        if show not in ("auto", "sounds"):
            checks.fail("sample_rate", OWNER, "be None where no sounds are shown", sample_rate)
    if inputs is None or show == "nothing":
        return _Nothing()
    if not hasattr(inputs, "__len__") or not hasattr(inputs, "__getitem__"):
        checks.fail("items", OWNER, "be a sequence", type(inputs).__name__)
    rows.same_length(range(count), "labels", inputs, "items", OWNER)
    kind = _kind(inputs, sample_rate) if show == "auto" else show
    if kind == "nothing":
        return _Nothing()
    if kind == "sounds":
        return _Sounds(inputs, sample_rate)
    return {"texts": _Texts, "images": _Images, "spectrograms": _Spectrograms}[kind](inputs)


def _kind(inputs, sample_rate):
    if sample_rate is not None:
        return "sounds"
    first = inputs[0]
    if isinstance(first, (str, bytes)):
        return "texts"
    if isinstance(inputs, np.ndarray) and inputs.dtype != object:
        return "images" if is_images(inputs) else "nothing"
    shapes = {np.shape(one) for one in inputs[:LOOKED_AT]}
    if all(len(shape) == 1 for shape in shapes) and len(shapes) > 1:
        return "sounds"
    if len(shapes) == 1 and is_images(np.asarray(inputs[:1])):
        return "images"
    return "nothing"


class _Silent:
    def player(self, row, name):
        """What plays an item: nothing, but for sounds of a known rate."""
        return ""


class _Nothing(_Silent):
    kind = "nothing"

    def html(self, row, name):
        return f'<span class="blank">row {row}</span>'


class _Texts(_Silent):
    kind = "texts"

    def __init__(self, inputs):
        self.inputs = inputs

    def html(self, row, name):
        text = self.inputs[row]
        text = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else str(text)
        return f'<span class="text">{escape(shortened(text, TEXT))}</span>'


class _Pictures(_Silent):
    def html(self, row, name):
        pixels = self.pixels(row)
        height, width = pixels.shape[:2]
        scale = SIDE / max(height, width)
        size = f'width="{max(round(width * scale), 1)}" height="{max(round(height * scale), 1)}"'
        return f'<img src="{data_uri(pixels)}" {size} alt="row {row}, {escape(name)}">'


class _Images(_Pictures):
    kind = "images"

    def __init__(self, inputs):
        self.inputs = inputs
        step = max(len(inputs) // LOOKED_AT, 1)
        sample = as_images(np.asarray(inputs[::step]), OWNER)
        self.span = span(sample)

    def pixels(self, row):
        return to_pixels(np.asarray(self.inputs[row])[None], self.span)[0]


class _Spectrograms(_Pictures):
    kind = "spectrograms"

    def __init__(self, inputs):
        self.images = _Images(inputs)

    def pixels(self, row):
        return np.flipud(self.images.pixels(row).T)  # time to the right, low frequencies below


class _Sounds(_Pictures):
    kind = "sounds"

    def __init__(self, inputs, sample_rate=None):
        self.inputs, self.sample_rate = inputs, sample_rate

    def pixels(self, row):
        return spectrogram(self._samples(row))

    def player(self, row, name):
        if self.sample_rate is None:
            return ""
        sound = playable(self._samples(row), self.sample_rate)
        return (
            f'<audio controls controlslist="nodownload noplaybackrate" preload="none" src="{sound}" '
            f'aria-label="row {row}, {escape(name)}"></audio>'
        )

    def _samples(self, row):
        samples = np.asarray(self.inputs[row])
        if samples.ndim == 2 and 1 in samples.shape:
            samples = samples.ravel()
        if samples.ndim != 1:
            raise ValueError(
                f"`items` of {OWNER} with show='sounds' must be waveforms (samples,). Received: shape {samples.shape}."
            )
        if samples.dtype.kind not in "iu":
            return samples.astype("float32")
        low, high = np.iinfo(samples.dtype).min, np.iinfo(samples.dtype).max
        return (samples.astype("float32") - (low + high + 1) // 2) / ((high - low + 1) // 2)


def playable(samples, rate):
    """A sound as text that stands in a page: its beginning, as a WAV file of 16 bits."""
    samples = np.nan_to_num(samples[: round(SECONDS * rate)], posinf=0, neginf=0)
    if rate > RATE and len(samples):
        # Without the frequencies that the lower rate cannot hold.
        fewer = max(round(len(samples) * RATE / rate), 1)
        kept = np.fft.rfft(samples)[: fewer // 2 + 1]
        samples, rate = np.fft.irfft(kept, fewer) * (fewer / len(samples)), RATE
    samples = samples / max(np.abs(samples).max(initial=0), 1)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, round(rate), 0, "NONE", None))
        writer.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"


def spectrogram(samples):
    """Loudness by frequency, low ones below, and time, from beginning to end: uint8 (64, 96)."""
    samples = np.pad(samples, (0, max(FRAME - len(samples), 0)))
    starts = np.linspace(0, len(samples) - FRAME, SIDE).astype(int)
    frames = samples[starts[:, None] + np.arange(FRAME)] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames, axis=1))[:, 1:] ** 2  # (frames, 128)
    power = power.reshape(len(frames), 64, 2).mean(axis=2)
    loudness = 10 * np.log10(np.maximum(power, 1e-20))
    loudest = loudness.max() if power.max() > 1e-20 else 0.0
    shade = np.clip((loudness - loudest) / DECIBELS + 1, 0, 1)
    return np.flipud(np.round(255 * shade.T)).astype("uint8")


def data_uri(pixels):
    """A picture as text that stands in a page, shrunk to `SIDE` pixels."""
    image_module = extras.require("PIL.Image", extra="plots")
    image = image_module.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    lossy = image.mode == "RGB" and max(image.size) > LOSSLESS
    if lossy:
        image.save(file, format="JPEG", quality=88)
    else:
        image.save(file, format="PNG", optimize=True)
    text = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{'jpeg' if lossy else 'png'};base64,{text}"
