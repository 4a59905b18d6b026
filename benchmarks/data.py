"""Batches per second of the data room beside a plain NumPy generator, as ratios of one run.

python benchmarks/data.py            # 60,000 images; 10, 1,000 and 100,000 classes (of 1,000,000 small rows)
python benchmarks/data.py --quick    # fewer batches
"""

import argparse
import resource
import time
import warnings

import numpy as np
import tensorflow as tf

from keras_metric import data

BATCH = 128


def rate(dataset, count):
    """Batches per second over `count` batches, after two to warm up."""
    iterator = iter(dataset.repeat())
    for _ in range(2):
        next(iterator)
    start = time.perf_counter()
    for _ in range(count):
        next(iterator)
    return count / (time.perf_counter() - start)


def from_generator(x, y, roles, per_batch, examples):
    """What one writes by hand: NumPy draws, handed over by `from_generator`."""
    order = np.argsort(y, kind="stable")
    sizes = np.bincount(y)
    starts = np.cumsum(sizes) - sizes
    random = np.random.default_rng(0)

    def pk():
        while True:
            chosen = random.choice(len(sizes), per_batch, replace=False)
            rows = [
                order[starts[c] + random.choice(sizes[c], examples, replace=False)] for c in chosen
            ]
            rows = np.concatenate(rows)
            yield x[rows], y[rows]

    def tuples():
        while True:
            rows = np.empty((roles, BATCH), "int64")
            for i in range(BATCH):
                own, other = random.choice(len(sizes), 2, replace=False)
                rows[:2, i] = order[starts[own] + random.choice(sizes[own], 2, replace=False)]
                if roles == 3:
                    rows[2, i] = order[starts[other] + random.integers(sizes[other])]
                elif i % 2:
                    rows[1, i] = order[starts[other] + random.integers(sizes[other])]
            yield tuple(x[r] for r in rows), y[rows[0]] == y[rows[1]]

    inputs = tf.TensorSpec((BATCH, *x.shape[1:]), x.dtype)
    if roles == 1:
        signature = (inputs, tf.TensorSpec((BATCH,), tf.int64))
        return tf.data.Dataset.from_generator(pk, output_signature=signature).prefetch(2)
    signature = ((inputs,) * roles, tf.TensorSpec((BATCH,), tf.bool))
    return tf.data.Dataset.from_generator(tuples, output_signature=signature).prefetch(2)


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    count = 100 if parser.parse_args().quick else 1000
    warnings.simplefilter("ignore")
    rows = np.zeros((1_000_000, 4), "uint8")
    y = np.arange(1_000_000) % 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    next(iter(data.pk_batches(rows, y, 16, 4, seed=1)))
    seconds = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"start-up, 100,000 classes, 1,000,000 rows: {seconds:.2f} s, at most {grown:.0f} MB more"
    )
    images = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28), "uint8")
    print("classes  kind      generator/s    ours/s   ratio")
    for classes in (10, 1_000, 100_000):
        x = images if classes < 10_000 else np.resize(images, (200_000, 28, 28))
        y = np.arange(len(x)) % classes
        p, k = (8, 16) if classes == 10 else (64, 2)
        makers = {
            "pk": (1, lambda x=x, y=y, p=p, k=k: data.pk_batches(x, y, p, k, seed=1)),
            "pairs": (2, lambda x=x, y=y: data.pairs(x, y, BATCH, seed=1)),
            "triplets": (3, lambda x=x, y=y: data.triplets(x, y, BATCH, seed=1)),
        }
        for kind, (roles, make) in makers.items():
            slow = rate(from_generator(x, y, roles, p, k), max(20, count // 10))
            fast = rate(make(), count)
            print(
                f"{classes:7d}  {kind:9s} {slow:11.0f} {fast:9.0f} {fast / slow:7.1f}", flush=True
            )


if __name__ == "__main__":
    main()
