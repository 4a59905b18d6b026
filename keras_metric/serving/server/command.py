"""The options of the server, and its run until it is told to stop.

`keras-metric serve` and `python -m server`, which runs this folder alone, share them.
"""

import argparse
import gc
import signal
import sys
import threading
from pathlib import Path

from .local_server import LocalServer
from .model import Limits
from .problems import StartProblem


def _whole(least, most=None):
    def read(text):
        value = int(text) if text.isascii() and text.isdigit() else -1
        if value < least or (most is not None and value > most):
            limits = f">= {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"must be a whole number {limits}. Received: {text!r}")
        return value

    return read


def _number(text):
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e30:
        raise argparse.ArgumentTypeError(f"must be a finite number. Received: {text!r}")
    return value


def _positive(text):
    value = _number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be a number >= 0. Received: {text!r}")
    return value


def add_arguments(parser):
    """Adds the options to an `argparse` parser."""
    port = _whole(0, 65535)
    parser.add_argument(
        "path", metavar="PATH", type=Path, help="folder of an exported model, or of one version"
    )
    parser.add_argument("--name", help="of the model in addresses (default: that of its folder)")
    where = parser.add_argument_group("where")
    where.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, this machine only)",
    )
    where.add_argument(
        "--port", type=port, default=8501, help="of HTTP, 0 for a free one (default: 8501)"
    )
    where.add_argument(
        "--grpc-port",
        type=port,
        metavar="PORT",
        help="of gRPC, for example 8500 (default: no gRPC)",
    )
    batches = parser.add_argument_group("batches")
    batches.add_argument(
        "--max-batch", type=_whole(0), default=64, metavar="ROWS",
        help="most rows of one call of the model, 0 for no batching (default: 64)",
    )  # fmt: skip
    batches.add_argument(
        "--max-wait", type=_positive, default=0.0, metavar="MS",
        help="milliseconds to wait for rows of other requests (default: 0)",
    )  # fmt: skip
    limits = parser.add_argument_group("limits of a request")
    limits.add_argument(
        "--max-body", type=_whole(1), default=16, metavar="MB", help="megabytes (default: 16)"
    )
    limits.add_argument(
        "--max-rows", type=_whole(1), default=4096, metavar="ROWS", help="rows (default: 4096)"
    )
    limits.add_argument(
        "--max-pixels", type=_whole(1), default=64, metavar="MILLIONS",
        help="millions of pixels of its images together (default: 64)",
    )  # fmt: skip
    pictures = parser.add_argument_group("images")
    pictures.add_argument(
        "--pixel-range", type=_number, nargs=2, default=(0.0, 255.0), metavar=("BLACK", "WHITE"),
        help="what encoded images become where the model takes pixels (default: 0 255)",
    )  # fmt: skip
    pictures.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="pictures of the neighbours, by id, for the page",
    )
    parser.add_argument(
        "--grace", type=_positive, default=30.0, metavar="SECONDS",
        help="to finish accepted requests when stopping (default: 30)",
    )  # fmt: skip


def run(arguments):
    """Serves until SIGTERM or Ctrl-C.

    Raises:
        StartProblem: if the server cannot start, or could not finish its requests in time.
    """
    stop = threading.Event()
    app = LocalServer(
        arguments.path,
        host=arguments.host,
        port=arguments.port,
        grpc_port=arguments.grpc_port,
        name=arguments.name,
        max_batch=arguments.max_batch,
        max_wait=arguments.max_wait / 1000,
        limits=Limits(arguments.max_rows, arguments.max_pixels * 10**6, arguments.max_body * 2**20),
        pixel_range=tuple(arguments.pixel_range),
        images=arguments.images,
    )
    # TensorFlow and the model are a million objects that stay: without this, every full collection of garbage, which
    # JSON brings about often, would look at all of them and hold up every request for half a second.
    gc.collect()
    gc.freeze()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        print(
            f"Serving {app.model.name!r}, version {app.model.version}: {sorted(app.model.signatures)}"
        )
        print(f"  page     {app.url}/")
        print(f"  REST     {app.url}/v1/models/{app.model.name}:predict")
        if app.grpc_address:
            print(f"  gRPC     {app.grpc_address}")
        print("  Ctrl-C stops it.", flush=True)
        stop.wait()
    finally:
        for number, handler in before.items():  # a second Ctrl-C ends it at once
            signal.signal(number, handler)
        done = app.stop(arguments.grace)
        gc.unfreeze()
    if not done:
        raise StartProblem(f"Stopped after {arguments.grace:g} seconds with requests unanswered.")
    print("Stopped: every accepted request has its answer.", flush=True)


def main(argv=None):
    """Runs the server as a program; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="server", description="Serves an exported model with TensorFlow and NumPy alone."
    )
    add_arguments(parser)
    try:
        run(parser.parse_args(argv))
    except (StartProblem, ImportError) as problem:
        print(f"server: failed: {problem}", file=sys.stderr)
        return 1
    return 0
