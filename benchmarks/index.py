"""Queries per second of exact search beside faiss, saving and loading beside NumPy, recall and memory of codes.

    python benchmarks/index.py                 # 100,000 × 128, and 1,000,000 × 128 for the files
    python benchmarks/index.py --small
    python benchmarks/index.py --fashion-mnist FOLDER    # recall on embeddings of an encoder trained on it

Wanted: at batch 256 at least 0.8 of faiss' queries per second, at batch 1 at least 0.5; files within 1.5 of NumPy's
time; recall@10 of int8 at least 0.99 in a quarter of the memory, of binary 0.9 in a 32nd.
All ratios are of medians of runs that take turns, so that a busy machine slows both.
"""

import argparse
import gzip
import tempfile
import time
from pathlib import Path

import numpy as np

from keras_metric.index import Index


def seconds(action):
    """Time of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def in_turns(first, second, runs=7):
    """Median seconds of both."""
    first(), second()
    times = np.array([(seconds(first), seconds(second)) for _ in range(runs)])
    return np.median(times, axis=0)


def search(vectors, queries, batch, distance, backend):
    """Median seconds of a search, of the built-in back end and another."""
    index, other = Index(distance), Index(distance, backend)
    index.add(vectors)
    other.add(vectors)
    return in_turns(lambda: index.search(queries[:batch]), lambda: other.search(queries[:batch]))


def against_plain_faiss(vectors, queries, batch):
    """Median seconds of a search, of the built-in back end and of faiss called directly."""
    import faiss

    index, flat = Index("inner_product"), faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    flat.add(vectors)
    return in_turns(lambda: index.search(queries[:batch]), lambda: flat.search(queries[:batch], 10))


def files(vectors):
    """Median seconds of saving and loading, each beside NumPy's, and seconds of a mapped load."""
    index = Index()
    index.add(vectors)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        save = in_turns(
            lambda: index.save(folder / "index"), lambda: np.save(folder / "x.npy", vectors), 3
        )
        load = in_turns(lambda: Index.load(folder / "index"), lambda: np.load(folder / "x.npy"), 3)
        mapped = seconds(lambda: Index.load(folder / "index", mmap=True))
    return save, load, mapped


def read_idx(folder, name):
    """An array of one of Fashion-MNIST's files."""
    content = gzip.decompress((folder / f"{name}-ubyte.gz").read_bytes())
    return np.frombuffer(content, "uint8", offset=16 if "idx3" in name else 8)


def fashion_mnist_embeddings(folder):
    """Embeddings of 60,000 gallery images and 1,000 queries, of an encoder that was trained for 600 steps."""
    import keras

    from keras_metric import data, layers, losses

    x = read_idx(folder, "train-images-idx3").reshape(-1, 28, 28, 1)
    y = read_idx(folder, "train-labels-idx1").astype("int64")
    queries = read_idx(folder, "t10k-images-idx3").reshape(-1, 28, 28, 1)[:1000]
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(64, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(128),
            layers.Normalize(),
        ]
    )
    encoder.compile("adam", loss=losses.SupConLoss())
    batches = data.pk_batches(x, y, classes_per_batch=10, examples_per_class=16, seed=0)
    encoder.fit(batches.take(600), verbose=0)
    return encoder.predict(x, 512, verbose=0), encoder.predict(queries, 512, verbose=0)


def codes(vectors, queries, what):
    """Prints recall, memory and time of int8 and binary storage beside exact search."""
    exact = Index()
    exact.add(vectors)
    with tempfile.TemporaryDirectory() as folder:
        for storage in ("int8", "binary"):
            index = Index(storage=storage)
            index.add(vectors)
            index.save(Path(folder) / storage)
            index = Index.load(Path(folder) / storage, mmap=True)
            own, full = in_turns(
                lambda index=index: index.search(queries[:256]), lambda: exact.search(queries[:256])
            )
            print(
                f"{storage}, {what}: recall@10 {index.recall(queries):.4f}, "
                f"{index.nbytes / vectors.nbytes:.4f} of the memory, {own / full:.2f} of the time of exact search"
            )


def main():
    """Prints one line for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tenth of everything")
    parser.add_argument("--fashion-mnist", type=Path, metavar="FOLDER", help="its four files")
    arguments = parser.parse_args()
    size = 10_000 if arguments.small else 100_000
    random = np.random.default_rng(0)
    vectors = random.normal(size=(size, 128)).astype("float32")
    queries = random.normal(size=(256, 128)).astype("float32")
    for batch in (256, 1):
        own, faiss = against_plain_faiss(vectors, queries, batch)
        print(
            f"exact, {size:,} × 128, k=10, batch {batch}: {batch / own:,.0f} queries/s, "
            f"{faiss / own:.2f} of faiss IndexFlatIP"
        )
    for distance in ("cosine", "euclidean"):
        own, faiss = search(vectors, queries, 256, distance, "faiss")
        print(
            f"{distance}, batch 256: {256 / own:,.0f} queries/s, {faiss / own:.2f} of backend='faiss'"
        )
    vectors = random.normal(size=(10 * size, 128)).astype("float32")
    save, load, mapped = files(vectors)
    print(f"save {10 * size:,} × 128: {save[0]:.2f} s, {save[0] / save[1]:.2f} of numpy.save")
    print(
        f"load: {load[0]:.2f} s, {load[0] / load[1]:.2f} of numpy.load; memory-mapped {mapped:.3f} s"
    )
    codes(vectors[:size], queries, f"random {size:,} × 128")
    if arguments.fashion_mnist:
        embedded = fashion_mnist_embeddings(arguments.fashion_mnist)
        codes(*embedded, "Fashion-MNIST 60,000 × 128")


if __name__ == "__main__":
    main()
