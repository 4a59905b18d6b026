"""A progress bar on one line; where the output is no terminal, a line now and then."""

import sys
import time

import keras


class Progress(keras.callbacks.Callback):
    """Shows epoch, loss and the time left.

    Args:
        title: what is being trained.
        epochs: how many epochs in all.
        done: how many of them were done before.
        stream: where to write; None: standard output.
    """

    WIDTH = 24

    def __init__(self, title, epochs, done=0, stream=None):
        super().__init__()
        self.title = title
        self.epochs = epochs
        self.first = self.done = done
        self.stream = stream or sys.stdout
        self.alive = self.stream.isatty()
        self.began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Draws the state after one more epoch."""
        self.done += 1
        seconds = time.monotonic() - self.began
        left = seconds / (self.done - self.first) * (self.epochs - self.done)
        filled = self.WIDTH * self.done // self.epochs
        bar = "█" * filled + "·" * (self.WIDTH - filled)
        when = f"{left:.0f} s left" if self.done < self.epochs else f"{seconds:.0f} s"
        figures = "  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        line = f"{self.title} {bar} epoch {self.done}/{self.epochs}  {figures}  {when}"
        last = self.done == self.epochs
        if self.alive:
            print(f"\r{line:<100}", end="\n" if last else "", file=self.stream, flush=True)
        elif last or self.done * 5 // self.epochs > (self.done - 1) * 5 // self.epochs:
            print(line, file=self.stream, flush=True)
