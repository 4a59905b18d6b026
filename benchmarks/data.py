"""Batches per second of the data room beside a plain NumPy generator, as ratios of one run.

python benchmarks/data.py            # 60,000 images; 10, 1,000 and 100,000 classes (of 1,000,000 small rows)
python benchmarks/data.py --quick    # fewer batches

On a computer that does other things as well, look at the ratios of CPU time, which these disturb less.
"""

import argparse
import resource
import time
import warnings

import keras
import numpy as np
import tensorflow as tf

import keras_metric
from keras_metric import data

BATCH = 128


def rate(dataset, count):
    """Batches per second, and CPU seconds a batch over all threads, after two batches to warm up."""
    iterator = iter(dataset.repeat())
    for _ in range(2):
        next(iterator)
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        next(iterator)
    return count / (time.perf_counter() - start), (time.process_time() - cpu) / count


def waiting_share(steps):
    """Share of the time of training on CIFAR-sized images that goes into waiting for the next batch."""
    x = np.random.default_rng(0).integers(0, 256, (50_000, 32, 32, 3), "uint8")
    encoder = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 255)])
    for filters in (32, 64, 128):
        encoder.add(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
        encoder.add(keras.layers.MaxPooling2D())
    encoder.add(keras.layers.GlobalAveragePooling2D())
    encoder.add(keras.layers.Dense(64))
    encoder.compile("adam", keras_metric.losses.TripletLoss())
    iterator = iter(data.pk_batches(x, np.arange(50_000) % 100, 32, 4, seed=1).repeat())
    for _ in range(3):
        encoder.train_on_batch(*next(iterator))
    waited, start = 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(iterator)
        waited += time.perf_counter() - asked
        encoder.train_on_batch(*batch)
    return waited / (time.perf_counter() - start)


def stream_rate(x, count):
    """Batches per second of `from_stream` on shuffled single examples of 100 classes."""
    source = tf.data.Dataset.from_tensor_slices((x, np.arange(len(x)) % 100)).repeat()
    return rate(data.from_stream(source, 32, 4, seed=1), count)[0]


def search_seconds(rows):
    """Time to find the hard negatives of that many embeddings of 128 dimensions."""
    embeddings = np.random.default_rng(0).normal(size=(rows, 128)).astype("float32")
    dataset = data.hard_triplets(np.arange(rows), np.arange(rows) % 1000, rank_window=(0, 10))
    start = time.perf_counter()
    dataset.hard_negatives.update(embeddings)
    return time.perf_counter() - start


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
    print("classes  kind      generator/s    ours/s   ratio   ratio of CPU time")
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
            slow, slow_cpu = rate(from_generator(x, y, roles, p, k), max(20, count // 10))
            fast, fast_cpu = rate(make(), count)
            print(
                f"{classes:7d}  {kind:9s} {slow:11.0f} {fast:9.0f} {fast / slow:7.1f} {slow_cpu / fast_cpu:12.1f}",
                flush=True,
            )
    print(f"from_stream, 100 classes: {stream_rate(images, count // 2):.0f} batches/s")
    print(f"hard negatives of 20,000 rows: {search_seconds(20_000):.1f} s")
    print(
        f"waiting for data, CIFAR-sized steps: {waiting_share(count // 5):.2%} of the time",
        flush=True,
    )


if __name__ == "__main__":
    main()
