"""The exported model beside what it was made of, and the local server under load.

    python benchmarks/serving.py                      # everything, about ten minutes on two cores
    python benchmarks/serving.py --small              # a twentieth of the requests and of the corpus
    python benchmarks/serving.py --part calls         # or load, or endurance

Wanted: `embed` of the SavedModel within 5 % of the encoder's compiled call, `search` within 10 % of `embed` followed by
exact search; no failed request in 100,000, and none lost on SIGTERM.

Calls take turns and are told as ratios of medians, so that a busy machine slows both. The server is a process of its
own, without Keras; its clients are threads of this one and share the machine with it.
"""

import argparse
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_metric import export
from keras_metric.index import Index

SERVER_FOLDER = Path(__file__).parents[1] / "keras_metric" / "serving"
SHAPE, DIMENSIONS = (28, 28, 1), 128


def in_turns(first, second, rounds, block=8):
    """Median seconds of both, and the median over rounds of their ratio.

    They take turns in blocks of calls, whose first ones do not count: the threads of NumPy's products go on spinning
    for a while after a call, and would be charged to whatever comes next.
    """
    times = np.empty((rounds, 2))
    for row in times:
        for place, action in enumerate((first, second)):
            time.sleep(0.05)
            seconds = []
            for _ in range(block):
                began = time.perf_counter()
                action()
                seconds.append(time.perf_counter() - began)
            row[place] = np.median(seconds[2:])
    return (*np.median(times, axis=0), np.median(times[:, 0] / times[:, 1]))


def encoder():
    """A small convolutional encoder."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(64, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(DIMENSIONS),
            keras.layers.UnitNormalization(),
        ]
    )


def images(count, seed=0):
    """Raw images as float32, as the encoder takes them."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, *SHAPE)).astype("float32")


def exported(folder, model, corpus):
    """The exported model with an index, and that index."""
    vectors = np.random.default_rng(1).normal(size=(corpus, DIMENSIONS)).astype("float32")
    index = Index("cosine")
    index.add(vectors, labels=np.arange(corpus) % 100)
    export.saved_model(model, folder, index=index, threshold=0.5, k=10)
    return index


def calls(folder, model, index, runs):
    """Prints the exported signatures beside the encoder and the index."""
    loaded = tf.saved_model.load(str(folder / "1"))
    embed, search = loaded.signatures["embed"], loaded.signatures["search"]
    compiled = tf.function(
        lambda x: model(x, training=False),
        input_signature=[tf.TensorSpec((None, *SHAPE), tf.float32)],
    )
    for batch in (1, 32, 256):
        x = tf.constant(images(batch))
        own, other, ratio = in_turns(
            lambda x=x: embed(inputs=x)["embedding"].numpy(), lambda x=x: compiled(x).numpy(), runs
        )
        print(
            f"embed, batch {batch}: {own * 1e3:.2f} ms, {ratio:.3f} of the encoder's compiled call "
            f"({other * 1e3:.2f} ms)",
            flush=True,
        )
        own, other, ratio = in_turns(
            lambda x=x: [one.numpy() for one in search(inputs=x).values()],
            lambda x=x: index.search(embed(inputs=x)["embedding"].numpy(), k=10),
            max(runs // 3, 3),
        )
        print(
            f"search in {len(index):,}, batch {batch}: {own * 1e3:.2f} ms, {ratio:.3f} of embed and exact search "
            f"({other * 1e3:.2f} ms)",
            flush=True,
        )


class Served:
    """A server process."""

    def __init__(self, folder, *options):
        path = os.pathsep.join([str(SERVER_FOLDER), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "server",
                str(folder),
                "--name",
                "model",
                "--port",
                "0",
                *options,
            ],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        said = "".join(self.process.stdout.readline() for _ in range(4))
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)/v1", said)[1])

    def stop(self):
        """Sends SIGTERM; the exit code and what it said last."""
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said.strip().splitlines()[-1]


def bodies():
    """Content type and body of one image as JSON and as `.npy`."""
    image, file = images(1), io.BytesIO()
    np.save(file, image)
    text = json.dumps({"instances": image.astype(int).tolist()}, separators=(",", ":"))
    return {
        "JSON": ("application/json", text.encode()),
        "npy": ("application/x-npy", file.getvalue()),
    }


class Clients:
    """Threads that ask one after the other, each on its own connection.

    Args:
        port: of the server.
        count: of threads.
        body: (content type, body).
        total: requests of all together, or None until `over`.
    """

    def __init__(self, port, count, body, total=None):
        self.port, self.body, self.total = port, body, total
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.asked = 0
        self.seconds, self.statuses = [], {}
        self.threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def join(self):
        """Waits for all."""
        for thread in self.threads:
            thread.join()
        return self

    def _next(self):
        with self.lock:
            if self.over.is_set() or (self.total is not None and self.asked >= self.total):
                return False
            self.asked += 1
            return True

    def _ask(self):
        kind, body = self.body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        times, statuses = [], {}
        while self._next():
            began, sent = time.perf_counter(), False
            try:
                connection.request(
                    "POST",
                    "/v1/models/model:predict?signature_name=embed",
                    body,
                    {"Content-Type": kind},
                )
                sent = True
                answer = connection.getresponse()
                data = answer.read()
                status = answer.status if data.endswith(b"]}") or answer.status != 200 else "cut"
            except OSError as error:
                status = f"{type(error).__name__}{'' if sent else ' before it was sent'}"
                connection.close()
            except http.client.HTTPException as error:
                status = "cut" if isinstance(error, http.client.IncompleteRead) else "no answer"
                connection.close()
            times.append(time.perf_counter() - began)
            statuses[status] = statuses.get(status, 0) + 1
            if status != 200 and self.total is None:
                break  # the server is stopping
        connection.close()
        with self.lock:
            self.seconds += times
            for status, count in statuses.items():
                self.statuses[status] = self.statuses.get(status, 0) + count


def load(folder, seconds):
    """Prints requests per second and p99 by number of clients, with batching on and off."""
    for kind, body in bodies().items():
        for options, title in (
            ((), "batching"),
            (("--max-wait", "2"), "batching, waiting 2 ms"),
            (("--max-batch", "0"), "no batching"),
        ):
            served = Served(folder, *options)
            Clients(served.port, 4, body, 200).join()  # to warm up
            for count in (1, 8, 64):
                began = time.perf_counter()
                clients = Clients(served.port, count, body)
                time.sleep(seconds)
                clients.over.set()
                clients.join()
                passed = time.perf_counter() - began
                p50, p99 = np.percentile(clients.seconds, [50, 99]) * 1e3
                print(
                    f"{kind}, {title}, {count} clients: {len(clients.seconds) / passed:,.0f} requests/s, "
                    f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, answers {clients.statuses}",
                    flush=True,
                )
            served.stop()


def endurance(folder, total):
    """Prints how many of many requests failed, and what became of those under way at SIGTERM."""
    served = Served(folder)
    began = time.perf_counter()
    clients = Clients(served.port, 16, bodies()["npy"], total).join()
    failed = sum(count for status, count in clients.statuses.items() if status != 200)
    print(
        f"{total:,} requests of 16 clients in {time.perf_counter() - began:.0f} s: {failed} failed, "
        f"answers {clients.statuses}",
        flush=True,
    )
    stops, answers, lost = 5, {}, 0
    for round_number in range(stops):
        if round_number:
            served = Served(folder)
        clients = Clients(served.port, 64, bodies()["npy"])
        time.sleep(2)
        code, said = served.stop()
        clients.over.set()
        clients.join()
        lost += clients.statuses.get("cut", 0) + (code != 0)
        for status, count in clients.statuses.items():
            answers[status] = answers.get(status, 0) + count
    print(
        f"SIGTERM under 64 clients, {stops} times: {lost} accepted requests without their answer, answers {answers} "
        f"(the server: {said})"
    )


def main():
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a twentieth of everything")
    parser.add_argument("--part", choices=("calls", "load", "endurance"))
    arguments = parser.parse_args()
    small = arguments.small
    with tempfile.TemporaryDirectory() as folder:
        folder, model = Path(folder) / "model", encoder()
        index = exported(folder, model, 5_000 if small else 100_000)
        if arguments.part in (None, "calls"):
            calls(folder, model, index, 5 if small else 15)
        if arguments.part in (None, "load"):
            load(folder, 1 if small else 5)
        if arguments.part in (None, "endurance"):
            endurance(folder, 5_000 if small else 100_000)


if __name__ == "__main__":
    main()
