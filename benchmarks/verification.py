"""Cost of `RetrievalEvaluation` beside embedding, and of verification over all pairs of a large set.

    python benchmarks/verification.py                  # both, 10,000 images and 10^9 pairs
    python benchmarks/verification.py --pairs 1e10     # 141,000 rows
    python benchmarks/verification.py --images 2000    # fewer images

Wanted: an evaluation of 10,000 validation images at the end of an epoch costs no more than embedding them plus 10 %;
all pairs of a set in bounded memory. Both sides run in one process, in turns; given are ratios of processor time, which
other work on the machine disturbs less than the clock. Memory is the growth of resident memory, seen 50 times a second;
it needs Linux.
"""

import argparse
import os
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


def used(function, *arguments, **options):
    """Processor seconds and seconds that a call takes."""
    processor, clock = time.process_time(), time.perf_counter()
    function(*arguments, **options)
    return time.process_time() - processor, time.perf_counter() - clock


def encoders():
    """Name, side of the images, and model: the tower of the CIFAR-100 example, and a small network of today."""
    import keras

    layers = keras.layers
    tower = [
        layers.Conv2D(32, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 5, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(128),
    ]
    yield "two convolutions, 32 × 32", 32, keras.Sequential([keras.Input((32, 32, 3)), *tower])
    network = keras.applications.MobileNetV2((96, 96, 3), include_top=False, weights=None, pooling="avg")  # fmt: skip
    yield "MobileNetV2, 96 × 96", 96, keras.Sequential([network, layers.Dense(128)])


def evaluation_beside_embedding(images, runs):
    """Prints the ratio for each encoder, with few and with many examples a class."""
    from keras_metric import callbacks

    random = np.random.default_rng(0)
    for name, side, model in encoders():
        x = random.integers(0, 256, (images, side, side, 3)).astype("uint8")
        model.predict(x[:512], batch_size=256, verbose=0)
        for classes in (100, 10):
            own = callbacks.RetrievalEvaluation(x, np.arange(images) % classes)
            ratios = []
            for _ in range(runs):
                embedding, _ = used(model.predict, x, batch_size=256, verbose=0)
                both, _ = used(own.evaluate, model)
                ratios.append(both / embedding)
            print(
                f"{name}, {images:,} images, {classes} classes: evaluation takes {np.median(ratios):.2f} times the "
                f"embedding alone ({embedding:.1f} s of processor)",
                flush=True,
            )


class Peak:
    """Greatest growth of resident memory inside a `with`, in bytes."""

    def __enter__(self):
        self._pages, self.bytes, self._over = _resident(), 0, False
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def _look(self):
        while not self._over:
            self.bytes = max(self.bytes, _resident() - self._pages)
            time.sleep(0.02)

    def __exit__(self, *_):
        self._over = True
        self._watch.join()


def _resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def all_pairs(pairs):
    """Prints time beside the bare products of the same rows, memory, and the bounds of error."""
    from keras_metric import evaluation

    rows = int((2 * pairs) ** 0.5)
    random = np.random.default_rng(0)
    labels = np.arange(rows) // 20
    means = random.standard_normal((labels[-1] + 1, 64), "float32")
    x = means[labels] + random.standard_normal((rows, 64), "float32")
    evaluation.verification_from_embeddings(x[:6000], labels[:6000])

    def products():
        for start in range(0, rows, 256):
            x[start : start + 256].copy() @ x[start:].T

    bare, _ = used(products)
    result = []
    with Peak() as peak:
        own, clock = used(lambda: result.append(evaluation.verification_from_embeddings(x, labels)))
    errors = ", ".join(f"{name} {value:.1g}" for name, value in result[0].errors.items())
    print(
        f"{rows:,} × 64, {sum(result[0].pairs):.3g} pairs: {own / bare:.1f} times the processor time of the products, "
        f"{clock:.0f} s by the clock, {peak.bytes / 2**20:.0f} MiB; known up to: {errors}; {result[0]!r}",
        flush=True,
    )


def main():
    """Prints one line for each comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000, help="0: not this part")
    parser.add_argument("--pairs", type=float, default=1e9, help="0: not this part")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.pairs:
        all_pairs(arguments.pairs)
    if arguments.images:
        evaluation_beside_embedding(arguments.images, arguments.runs)


if __name__ == "__main__":
    main()
