"""Time and memory of every loss, forward and backward, against the bare matrix products, in one process.

    python benchmarks/losses.py                      # every loss, B = 1024, 4 examples a class
    python benchmarks/losses.py --classes 10         # few large classes
    python benchmarks/losses.py --losses triplet/all nt_xent --batch 2048 --jit

The yardstick is X·Xᵀ and the two products of its gradient, without any loss. Memory is the growth of the peak of resident
memory in one step, in matrices of B×B float32, measured in a fresh process for each loss; it needs Linux.
"""

import argparse
import gc
import os
import subprocess
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from keras_metric import losses


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
    step = step_of(variants()[name](), jit=False)
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
    arguments = parser.parse_args()
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
    for name, make in variants().items():
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
