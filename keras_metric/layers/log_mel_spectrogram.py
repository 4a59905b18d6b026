"""Log-mel spectrograms of sound."""

import keras
from keras import ops

from keras_metric import checks
from keras_metric.layers.base import LAYERS


@LAYERS.register("log_mel_spectrogram")
class LogMelSpectrogram(keras.layers.Layer):
    """log(max(mel power, floor)) of sounds, as images (frames, mel bands, 1) for a convolutional encoder.

    `keras.layers.MelSpectrogram` computes the mel power; its own decibels are not used, because it cuts them relative
    to the loudest sound of the batch: an embedding would then depend on what else is in the batch.

    Args:
        sampling_rate: samples a second.
        num_mel_bins: mel bands.
        frame_length: samples of a window.
        frame_step: samples from one window to the next.
        min_freq, max_freq: range of the bands in Hz; None: half of the sampling rate.
        floor: smallest power, > 0: what counts as silence, for samples in [-1, 1].

    Call arguments:
        inputs: sounds (B, samples), floats.

    Returns:
        float32 (B, 1 + ⌊samples / frame_step⌋, num_mel_bins, 1).
    """

    def __init__(
        self,
        sampling_rate=16000,
        num_mel_bins=64,
        frame_length=512,
        frame_step=256,
        min_freq=20.0,
        max_freq=None,
        floor=1e-6,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        owner = "LogMelSpectrogram"
        self.sampling_rate = checks.whole(sampling_rate, "sampling_rate", owner)
        self.num_mel_bins = checks.whole(num_mel_bins, "num_mel_bins", owner)
        self.frame_length = checks.whole(frame_length, "frame_length", owner, at_least=2)
        self.frame_step = checks.whole(frame_step, "frame_step", owner)
        half = sampling_rate / 2
        self.max_freq = None
        if max_freq is not None:
            self.max_freq = checks.number(max_freq, "max_freq", owner, above=0, at_most=half)
        self.min_freq = checks.number(
            min_freq, "min_freq", owner, at_least=0, below=self.max_freq or half
        )
        self.floor = checks.number(floor, "floor", owner, above=0)
        self.mel = keras.layers.MelSpectrogram(
            fft_length=1 << (frame_length - 1).bit_length(),
            sequence_length=frame_length,
            sequence_stride=frame_step,
            sampling_rate=sampling_rate,
            num_mel_bins=num_mel_bins,
            min_freq=min_freq,
            max_freq=max_freq,
            power_to_db=False,
            dtype="float32",
        )

    def build(self, input_shape):
        """Builds the spectrogram, which has no weights."""
        self.mel.build(input_shape)

    def call(self, inputs):
        """The spectrograms."""
        if len(inputs.shape) != 2:
            checks.fail_shape(
                "inputs", "LogMelSpectrogram", "have the shape (batch, samples)", inputs
            )
        half = self.mel.fft_length // 2  # the ends are mirrored by this much
        if inputs.shape[1] is not None and inputs.shape[1] <= half:
            checks.fail_shape(
                "inputs",
                "LogMelSpectrogram",
                f"have more than {half} samples, half a window",
                inputs,
            )
        power = self.mel(ops.cast(inputs, "float32"))  # (B, bands, frames)
        logs = ops.log(ops.maximum(power, self.floor))
        return ops.expand_dims(ops.transpose(logs, (0, 2, 1)), -1)

    def compute_output_spec(self, inputs):
        """Shape (B, frames, bands, 1)."""
        batch, samples = inputs.shape
        frames = None if samples is None else 1 + samples // self.frame_step
        return keras.KerasTensor((batch, frames, self.num_mel_bins, 1), dtype="float32")

    def get_config(self):
        """Constructor arguments."""
        names = (
            "sampling_rate", "num_mel_bins", "frame_length", "frame_step", "min_freq", "max_freq", "floor",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
