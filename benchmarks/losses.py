"""Time and memory of every loss, forward and backward, against the bare matrix products, in one process.

    python benchmarks/losses.py                      # every loss, B = 1024, 4 examples a class
    python benchmarks/losses.py --classes 10         # few large classes
    python benchmarks/losses.py --losses triplet/all nt_xent --batch 2048 --jit
    python benchmarks/losses.py --classes 32 --losses triplet/all triplet/enumerated triplet/rows
    python benchmarks/losses.py --step               # what a loss adds to a training step of a small image tower

The yardstick is X·Xᵀ and the two products of its gradient, without any loss. Memory is the growth of the peak of
resident memory in one step, in matrices of B×B float32, measured in a fresh process for each loss; it needs Linux.
"""

import argparse
import gc
import os
import subprocess
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from keras_metric import layers, losses


def variants():
    """Every registered loss between embeddings, and the triplet and contrastive losses with each miner."""
    table = {}
    for name, cls in losses.LOSSES.items():
        if not issubclass(cls, losses.EmbeddingLoss):
            continue
        if name == "matryoshka":
            table[name] = lambda cls=cls: cls(losses.NTXentLoss(), dims=(32, 64, 128))
        elif name == "triplet":
            for miner in ("all", "semi_hard", "hardest", "easy_positive"):
                table[f"triplet/{miner}"] = lambda miner=miner: losses.TripletLoss(miner=miner)
            table["triplet/all, soft"] = lambda: losses.TripletLoss(None, miner="all")
            table["triplet/all, swap"] = lambda: losses.TripletLoss(miner="all", swap=True)
        elif name == "contrastive":
            table["contrastive"] = cls
            table["contrastive/hardest"] = lambda: losses.ContrastiveLoss(miner="hardest")
        else:
            table[name] = cls
    return table


class EnumeratedTriplets(losses.TripletLoss):
    """A yardstick of `triplet/all`: every triplet as three indices, as libraries of index tuples do it."""

    def per_anchor(self, distances, relations, rows):
        """Losses (B,): the mean over all active triplets, repeated."""
        pairs = tf.where(relations > 0)
        triplets = tf.where(tf.gather(relations, pairs[:, 0]) < 0)  # (triplets, 2): pair, negative
        pair, negative = tf.unstack(triplets, axis=1)
        flat, width = tf.reshape(distances, (-1,)), tf.shape(distances, tf.int64)[1]
        anchor, positive = tf.gather(pairs[:, 0], pair), tf.gather(pairs[:, 1], pair)
        hinges = tf.gather(flat, anchor * width + positive) - tf.gather(
            flat, anchor * width + negative
        )
        return _mean_of_active(tf.nn.relu(hinges + self.margin), distances)


class RowsOfTriplets(losses.TripletLoss):
    """A leaner yardstick: a row of hinges (B,) for every positive pair."""

    def per_anchor(self, distances, relations, rows):
        """Losses (B,): the mean over all active triplets, repeated."""
        pairs = tf.where(relations > 0)
        anchors = tf.gather(distances, pairs[:, 0])  # (positive pairs, B)
        hinges = tf.nn.relu(tf.gather_nd(distances, pairs)[:, None] - anchors + self.margin)
        hinges = tf.where(tf.gather(relations, pairs[:, 0]) < 0, hinges, 0.0)
        return _mean_of_active(hinges, distances)


def _mean_of_active(hinges, distances):
    active = tf.reduce_sum(tf.cast(hinges > 0, hinges.dtype))
    return tf.reduce_sum(hinges) / tf.maximum(active, 1.0) * tf.ones_like(distances[:, 0])


YARDSTICKS = {
    "triplet/enumerated": lambda: EnumeratedTriplets(miner="all"),
    "triplet/rows": lambda: RowsOfTriplets(miner="all"),
}


def products(x):
    """The bare product and the two of its gradient."""
    gram = tf.matmul(x, x, transpose_b=True)
    return tf.matmul(gram, x) + tf.matmul(gram, x, transpose_a=True)


def step_of(loss, jit):
    """Compiled function (labels, embeddings) → gradient."""

    @tf.function(jit_compile=jit)
    def step(labels, embeddings):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            value = loss(labels, embeddings)
        return tape.gradient(value, embeddings)

    return step


def seconds(call, repeats):
    """Median time of a call."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def extra_bytes(name, batch, dimensions, classes):
    """Growth of the peak of resident memory over what is resident before one step, in a process of its own."""
    command = [sys.executable, __file__, "--peak", name, "--batch", str(batch)]
    command += ["--dimensions", str(dimensions), "--classes", str(classes)]
    return int(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    )


def print_peak(name, labels, x):
    """The child's part: warms everything up on a small batch, then measures one step on the whole one."""
    step = step_of({**variants(), **YARDSTICKS}[name](), jit=False)
    small = min(128, len(x))
    step(labels[:small], x[:small]).numpy()
    tf.function(products)(x[:small])
    step.get_concrete_function(labels, x)
    gc.collect()
    before = _status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # resets the peak
    step(labels, x).numpy()
    print(max(_status("VmHWM") - before, 0))


def _status(field):
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(field))
    return 1024 * int(line.split()[1])


def tower(head):
    """The CIFAR tower (conv 32, conv 64, dense 128) with the layers of `head` behind it."""
    conv = {"kernel_size": 5, "padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(32, **conv),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, **conv),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(128),
            *head,
        ]
    )


def training_step(loss, head):
    """Compiled function (images, labels) that trains the tower once with Adam."""
    model, optimizer = tower(head), keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    return step


def print_steps(repeats, wanted):
    """Table of the time of a step with each loss against the step with plain cross-entropy of 100 classes."""
    rng = np.random.default_rng(0)
    images = tf.constant(rng.normal(size=(128, 32, 32, 3)), tf.float32)
    labels = tf.constant(rng.permutation(np.arange(128) % 32))
    plain = training_step(
        keras.losses.SparseCategoricalCrossentropy(from_logits=True), [keras.layers.Dense(100)]
    )
    rows = {name: (make(), []) for name, make in variants().items()}
    for name, cls in losses.LOSSES.items():
        if issubclass(cls, losses.ProxyLoss):
            proxies = layers.ProxySimilarity(100, return_norms=name == "ada_face")
            rows[name] = (cls(), [proxies])
    print(f"{'loss, batch of 128 (32 × 4)':32} {'step / cross-entropy step':>26}")
    for name, (loss, head) in rows.items():
        if wanted and name not in wanted:
            continue
        step = training_step(loss, head)
        # Single steps in turn: the machine's speed changes more than the losses differ.
        pairs = []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            plain(images, labels).numpy()
            middle = time.perf_counter()
            step(images, labels).numpy()
            pairs.append((middle - start, time.perf_counter() - middle))
        plains, steps = np.array(pairs[1:]).T
        print(f"{name:32} {np.median(steps) / np.median(plains):26.2f}", flush=True)


def batch_of(batch, dimensions, classes):
    """Shuffled labels and points of length 1."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(batch, dimensions))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return tf.constant(rng.permutation(np.arange(batch) % classes)), tf.constant(points, tf.float32)


def main():
    """Prints a table of ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--classes", type=int, help="number of classes (default: batch / 4)")
    parser.add_argument("--losses", nargs="*", help="names from the table's first column")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--jit", action="store_true", help="compile with XLA")
    parser.add_argument("--step", action="store_true", help="time whole steps of an image tower")
    arguments = parser.parse_args()
    if arguments.step:
        return print_steps(4 * arguments.repeats, arguments.losses)
    classes = arguments.classes or arguments.batch // 4
    size = (arguments.batch, arguments.dimensions, classes)
    labels, x = batch_of(*size)
    if arguments.peak:
        return print_peak(arguments.peak, labels, x)
    matrix = 4 * arguments.batch**2

    bare = tf.function(products)
    print(
        f"B = {arguments.batch}, D = {arguments.dimensions}, {classes} classes, XLA {arguments.jit}"
    )
    print(f"{'loss':32} {'time / products':>16} {'memory / (B,B)':>16} {'MB':>8}")
    table = {**variants(), **YARDSTICKS} if arguments.losses else variants()
    for name, make in table.items():
        if arguments.losses and name not in arguments.losses:
            continue
        step = step_of(make(), arguments.jit)
        memory = float("nan") if arguments.jit else extra_bytes(name, *size)
        # Yardstick and loss in turn, so that a change of the machine's speed meets both.
        ratios = []
        for _ in range(3):
            yardstick = seconds(lambda: bare(x).numpy(), arguments.repeats)
            ratios.append(
                seconds(lambda step=step: step(labels, x).numpy(), arguments.repeats) / yardstick
            )
        ratio = float(np.median(ratios))
        print(f"{name:32} {ratio:16.1f} {memory / matrix:16.1f} {memory / 2**20:8.0f}", flush=True)


if __name__ == "__main__":
    main()
