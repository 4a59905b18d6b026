"""Time and memory of `evaluation.retrieval`: beside the bare matrix product, beside plain NumPy, and on a million rows.

    python benchmarks/evaluation.py                  # 60,000 × 128 against X·Xᵀ, 20,000 × 128 against NumPy
    python benchmarks/evaluation.py --small          # a quarter of the rows
    python benchmarks/evaluation.py --million        # 1,000,000 × 64, 20 rows a class
    python benchmarks/evaluation.py --million --queries 50000      # a part of its queries, the whole gallery
    python benchmarks/evaluation.py --clustering     # k-means of 100,000 × 128 into 100 and 1,000 classes

Wanted: 60,000 rows of 10 classes (hit@1, MAP@R, R-precision) in at most 6 times the time of the product and less than
1 GB; 20,000 rows at least 3 times as fast as NumPy with a full sort, in a tenth of its memory; a million rows in less
than 2 GB. Times are medians of runs that take turns. Memory is the growth of the peak of resident memory over what is
resident before, in a process of its own; it needs Linux.
"""

import argparse
import gc
import os
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

METRICS = ("hit@1", "map@r", "r_precision")


def points(rows, dimensions, classes):
    """Labels, and unit vectors scattered about a centre for each class."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.arange(rows) % classes)
    centers = random.normal(size=(classes, dimensions)).astype("float32")
    x = random.standard_normal((rows, dimensions), "float32")
    for start in range(0, rows, 65536):
        part = x[start : start + 65536]
        part += 0.5 * centers[labels[start : start + 65536]]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return x, labels


def own(x, labels, **options):
    """What is measured."""
    from keras_metric import evaluation

    return evaluation.retrieval(x, labels, metrics=METRICS, **options)


def product(x, labels):
    """X·Xᵀ in the tiles that `own` takes, into one buffer."""
    from keras_metric.evaluation import ranks

    rows = ranks.tile_rows(len(x), int(np.bincount(labels).max()), 1)
    tile = np.empty((rows, len(x)), x.dtype)
    for start in range(0, len(x), rows):
        some = x[start : start + rows]
        np.matmul(some, x.T, out=tile[: len(some)])


def plain(x, labels):
    """The usual way: all similarities, a full sort, and the metrics over all queries at once."""
    similarities = x @ x.T
    np.fill_diagonal(similarities, -np.inf)
    order = np.argsort(-similarities, axis=1)
    relevant = labels[order] == labels[:, None]
    relevant[:, -1] = False  # the query itself
    counts = relevant.sum(axis=1)
    ranks = np.arange(1, counts.max() + 1)
    within = relevant[:, : counts.max()] & (ranks <= counts[:, None])
    precisions = np.cumsum(within, axis=1) / ranks
    return {
        "hit@1": relevant[:, 0].mean(),
        "map@r": ((within * precisions).sum(axis=1) / counts).mean(),
        "r_precision": (within.sum(axis=1) / counts).mean(),
    }


def clusters(x, labels):
    """k-means and its figures."""
    from keras_metric import evaluation

    return evaluation.clustering(x, labels)


WORK = {"own": own, "plain": plain, "product": product, "clusters": clusters}


def seconds(action):
    """Time of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def in_turns(actions, runs):
    """Median seconds of each."""
    return np.median([[seconds(action) for action in actions] for _ in range(runs)], axis=0)


def extra_bytes(work, *size):
    """Growth of the peak of resident memory while `work` runs, in a process of its own."""
    command = [sys.executable, __file__, "--peak", work, *map(str, size)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1])


def print_peak(work, rows, dimensions, classes):
    """The child's part: warms up on few rows, then measures."""
    x, labels = points(rows, dimensions, classes)
    WORK[work](x[:2000], labels[:2000] % 10)
    before = reset_peak()
    WORK[work](x, labels)
    print(peak() - before)


def reset_peak():
    """Resident memory now, from which the peak is counted anew."""
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _status("VmRSS")


def peak():
    """Peak of resident memory."""
    return _status("VmHWM")


def _status(field):
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(field))
    return 1024 * int(line.split()[1])


def against_product(rows, runs):
    """Prints time as a multiple of the product's, and memory."""
    size = (rows, 128, 10)
    x, labels = points(*size)
    own(x[:2000], labels[:2000])
    times = in_turns([lambda: product(x, labels), lambda: own(x, labels)], runs)
    memory = extra_bytes("own", *size) / 2**30
    print(
        f"{rows:,} × 128, 10 classes: {times[1] / times[0]:.1f} times the product "
        f"({times[0]:.1f} s), {memory:.2f} GB",
        flush=True,
    )


def against_numpy(rows, runs):
    """Prints time and memory as shares of the plain evaluation's."""
    size = (rows, 128, 10)
    x, labels = points(*size)
    found, expected = own(x, labels), plain(x, labels)
    for name in METRICS:  # the two rank by products rounded in another order
        assert abs(found[name] - expected[name]) < 1e-4, (name, found[name], expected[name])
    times = in_turns([lambda: plain(x, labels), lambda: own(x, labels)], runs)
    memory = [extra_bytes(work, *size) for work in ("plain", "own")]
    print(
        f"{rows:,} × 128, 10 classes: {times[0] / times[1]:.1f} times as fast as NumPy with a full sort, "
        f"in {memory[1] / memory[0]:.3f} of its memory ({memory[0] / 2**30:.1f} GB)",
        flush=True,
    )


def million(rows, queries):
    """Prints the time and memory of `queries` of the rows against all of them."""
    x, labels = points(rows, 64, rows // 20)
    own(x[:2000], labels[:2000] % 10)
    before = reset_peak()
    began = time.perf_counter()
    if queries < rows:
        # The same work a query as leave-one-out: the query's own row, its whole group, is left out.
        ids = np.arange(rows)
        result = own(
            x[:queries], labels[:queries], gallery=x, gallery_labels=labels,
            groups=ids[:queries], gallery_groups=ids, progress=True,
        )  # fmt: skip
    else:
        result = own(x, labels, progress=True)
    took, memory = time.perf_counter() - began, (peak() - before) / 2**30
    print(
        f"{queries:,} queries in {rows:,} × 64, 20 rows a class: {took:.0f} s, {memory:.2f} GB beside the "
        f"embeddings, {result!r}"
    )


def clustering(rows):
    """Prints memory as a multiple of the embeddings, and time."""
    for classes in (100, 1000):
        size = (rows, 128, classes)
        x, labels = points(*size)
        began = time.perf_counter()
        result = clusters(x, labels)
        took = time.perf_counter() - began
        memory = extra_bytes("clusters", *size) / x.nbytes
        print(
            f"{rows:,} × 128, {classes} classes: {memory:.1f} times the memory of the embeddings beside them, "
            f"{took:.0f} s by {result.algorithm}, {result!r}",
            flush=True,
        )


def main():
    """Prints one line for each comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="a quarter of the rows")
    parser.add_argument("--million", action="store_true", help="only the million rows")
    parser.add_argument("--queries", type=int, help="how many of the million ask (default: all)")
    parser.add_argument("--clustering", action="store_true", help="only k-means")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    share = 4 if arguments.small else 1
    if arguments.peak:
        return print_peak(arguments.peak[0], *map(int, arguments.peak[1:]))
    if arguments.million:
        rows = 1_000_000 // share
        return million(rows, min(arguments.queries or rows, rows))
    if arguments.clustering:
        return clustering(100_000 // share)
    against_numpy(20_000 // share, arguments.runs)
    against_product(60_000 // share, arguments.runs)


if __name__ == "__main__":
    main()
