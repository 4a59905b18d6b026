"""Layers that prepare inputs: against NumPy, through files, and in exports."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_metric import layers
from keras_metric.layers.median_denoise import median_exchanges
from tests.support import BACKEND, numpy

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (6, 7, 5, 3)).astype("uint8")
IMAGES[..., 2] = 9  # a channel that never varies


@pytest.mark.parametrize("axis, reduced", [(-1, (0, 1, 2)), (None, (0, 1, 2, 3)), ((1, 3), (0, 2))])
def test_standardize_learns_mean_and_deviation(axis, reduced):
    layer = layers.Standardize(axis=axis)
    layer.adapt(IMAGES)
    x = IMAGES.astype("float64")
    deviation = x.std(axis=reduced, keepdims=True)
    expected = (x - x.mean(axis=reduced, keepdims=True)) / np.where(deviation == 0, 1, deviation)
    np.testing.assert_allclose(numpy(layer(IMAGES)), expected, rtol=1e-5, atol=1e-5)


def test_standardize_takes_batches_and_keeps_precision():
    large = (1000 + RNG.normal(size=(3000, 2))).astype("float32")
    whole, parts = layers.Standardize(), layers.Standardize()
    whole.adapt(large)
    parts.adapt((large[i : i + 7], None) for i in range(0, 3000, 7))
    for layer in (whole, parts):
        np.testing.assert_allclose(numpy(layer.adapt_mean), large.mean(0, "float64"), rtol=1e-7)
        np.testing.assert_allclose(
            numpy(layer.adapt_variance), large.astype("float64").var(0), rtol=1e-5
        )


def test_standardize_stays_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = layers.Standardize()
        layer.adapt(np.array([[3001.0], [3003.0]]))
        assert numpy(layer(np.array([[3002.5]]))).tolist() == [[0.5]]
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    "data, words",
    [
        (np.array([[1.0], [np.nan]]), "first in row 1"),
        ([np.ones((3, 1)), np.array([[1.0], [np.inf]])], "first in row 4"),
        (np.ones((0, 2)), "no rows"),
        ([], "no rows"),
    ],
)
def test_standardize_refuses(data, words):
    with pytest.raises(ValueError, match=words):
        layers.Standardize().adapt(data)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_median_denoise(size, dtype):
    padded = np.pad(IMAGES, [(0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)], mode="edge")
    expected = np.empty(IMAGES.shape)
    for row in range(7):
        for column in range(5):
            window = padded[:, row : row + size, column : column + size]
            expected[:, row, column] = np.median(window, axis=(1, 2))
    got = layers.MedianDenoise(size)(IMAGES.astype(dtype))
    assert keras.backend.standardize_dtype(got.dtype) == dtype
    np.testing.assert_array_equal(numpy(got), expected)


def test_exchanges_find_the_median_of_every_order():
    assert len(median_exchanges(9)) <= 25
    for bits in range(512):  # by the 0-1 principle these are enough
        values = [bits >> i & 1 for i in range(9)]
        expected = sorted(values)[4]
        for low, high in median_exchanges(9):
            values[low], values[high] = sorted((values[low], values[high]))
        assert values[4] == expected


def reference_log_mel(sound, rate, bands, length, step, low, high, floor):
    """Frames by hand, the Fourier transform of NumPy, and triangles on the mel scale."""
    size = 1 << (length - 1).bit_length()
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    edges = np.linspace(mel(low), mel(high), bands + 2)
    bins = mel(np.linspace(0, rate / 2, size // 2 + 1))
    triangles = np.maximum(
        0,
        np.minimum(
            (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2]),
            (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1]),
        ),
    )
    triangles[0] = 0
    window = np.zeros(size)
    window[(size - length) // 2 : (size - length) // 2 + length] = 0.5 - 0.5 * np.cos(
        2 * np.pi * np.arange(length) / length
    )
    padded = np.pad(sound, size // 2, mode="reflect")
    frames = [padded[i : i + size] * window for i in range(0, len(sound) + 1, step)]
    return np.log(np.maximum(np.abs(np.fft.rfft(frames)) ** 2 @ triangles, floor))


def test_log_mel_spectrogram():
    sounds = RNG.normal(size=(3, 1000)) * np.array([[1], [0.1], [0]])
    layer = layers.LogMelSpectrogram(8000, 12, frame_length=200, frame_step=90, max_freq=3500.0)
    got = numpy(layer(sounds.astype("float32")))
    assert (
        got.shape == (3, 12, 12, 1) == layer.compute_output_spec(keras.KerasTensor((3, 1000))).shape
    )
    for sound, image in zip(sounds, got, strict=True):
        expected = reference_log_mel(sound, 8000, 12, 200, 90, 20.0, 3500.0, 1e-6)
        np.testing.assert_allclose(image[..., 0], expected, rtol=1e-3, atol=2e-2)
    alone = numpy(layer(sounds[1:2].astype("float32")))
    np.testing.assert_allclose(alone[0], got[1], rtol=1e-4, atol=1e-4)


def image_encoder():
    standardize = layers.Standardize()
    standardize.adapt(IMAGES)
    encoder = keras.Sequential(
        [
            keras.Input((7, 5, 3)),
            layers.MedianDenoise(),
            keras.layers.Resizing(4, 4),
            standardize,
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    return encoder, IMAGES.astype("float32")


def sound_encoder():
    encoder = keras.Sequential(
        [
            keras.Input((800,)),
            layers.LogMelSpectrogram(8000, 8, 128, 64),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    return encoder, RNG.normal(size=(2, 800)).astype("float32")


@pytest.mark.parametrize("make", [image_encoder, sound_encoder])
def test_they_travel_into_files_and_exports(make, tmp_path):
    encoder, x = make()
    expected = encoder.predict(x, verbose=0)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-5)
    if BACKEND != "tensorflow":
        return
    import tensorflow as tf

    from keras_metric import export

    served = tf.saved_model.load(str(export.saved_model(encoder, tmp_path / "served")))
    got = served.signatures["embed"](inputs=tf.constant(x))["embedding"].numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_config_round_trip_and_short_names():
    for name, settings in (
        ("standardize", {"axis": (1, -1)}),
        ("standardize", {"mean": 2.0, "variance": 4.0}),
        ("median_denoise", {"size": 5}),
        ("log_mel_spectrogram", {"sampling_rate": 8000, "max_freq": 3000.0, "floor": 1e-4}),
    ):
        layer = layers.get(name, **settings)
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
        assert all(np.all(layer.get_config()[key] == value) for key, value in settings.items())
    x = ops.convert_to_tensor(np.array([[6.0]], "float32"))
    layer = layers.Standardize(mean=2.0, variance=4.0)
    assert numpy(layers.Standardize.from_config(layer.get_config())(x)).tolist() == [[2.0]]
    with pytest.raises(ValueError, match="cannot adapt"):
        layer.adapt(np.ones((2, 1)))


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: layers.MedianDenoise(4), "odd"),
        (lambda: layers.MedianDenoise()(np.zeros((2, 3))), "batch, height, width, channels"),
        (lambda: layers.LogMelSpectrogram(floor=0), "floor"),
        (lambda: layers.LogMelSpectrogram(8000, max_freq=5000.0), "max_freq"),
        (lambda: layers.LogMelSpectrogram()(np.zeros((2, 900, 1))), r"\(batch, samples\)"),
        (lambda: layers.LogMelSpectrogram()(np.zeros((2, 256))), "more than 256 samples"),
    ],
)
def test_bad_input_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
