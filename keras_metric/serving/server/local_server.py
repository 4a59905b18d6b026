"""A local server for one SavedModel: HTTP, and gRPC if wanted, over the same model and batches."""

import threading
import time

from . import grpc_service
from .batching import Batcher
from .gate import Gate
from .metrics import Metrics
from .model import Limits, Model
from .page import Page
from .problems import StartProblem
from .web import WebServer


class LocalServer:
    """Serves a SavedModel until it is stopped.

        with LocalServer("saved_models/digits", port=0) as served:
            print(served.url)

    Args:
        path: folder of an exported model, or one of its versions.
        host: address to listen at; "127.0.0.1" is reached from this machine only, "0.0.0.0" from everywhere.
        port: of HTTP; 0 takes a free one.
        grpc_port: of gRPC, 0 for a free one, or None for no gRPC. Needs the package tensorflow-serving-api.
        name: under which the model is served; by default the name of its folder.
        max_batch: most rows of one call of the model; 0 turns batching off.
        max_wait: seconds that a request may wait for others to share its batch.
        limits: `Limits` of a request.
        max_connections: most HTTP connections at a time.
        idle_seconds: how long a silent connection is kept.
        pixel_range: what black and white of an encoded image become where the model takes pixels.
        images: folder of pictures that the page shows for the ids of neighbours, or None.

    Raises:
        StartProblem: if the model cannot be loaded or the port cannot be had.
        ImportError: if gRPC is wanted and its packages are not installed.
    """

    def __init__(
        self,
        path,
        host="127.0.0.1",
        port=8501,
        grpc_port=None,
        name=None,
        max_batch=64,
        max_wait=0.0,
        limits=None,
        max_connections=256,
        idle_seconds=30.0,
        pixel_range=(0.0, 255.0),
        images=None,
    ):
        if grpc_port is not None:
            grpc_service.need_packages()
        self.limits = limits or Limits()
        self.max_connections = max_connections
        self.idle_seconds = idle_seconds
        self.pixel_range = pixel_range
        self.host = host
        self.model = Model(path, name, self.limits)
        self.page = Page(self.model, images)
        self.gate = Gate(most_bytes=8 * self.limits.body)
        self.metrics = Metrics(
            {
                (
                    "keras_metric_requests_in_flight",
                    "Requests being answered.",
                ): lambda: self.gate.inside,
                ("keras_metric_connections", "Open HTTP connections."): lambda: len(
                    self.web.connections
                ),
            }
        )
        self.model.warm_up()
        self.batcher = Batcher(max_batch, max_wait, self.metrics.rows.observe)
        self.grpc = None
        try:
            self.web = WebServer((host, port), self)
            if grpc_port is not None:
                self.grpc = grpc_service.GrpcServer(self, host, grpc_port)
        except (OSError, OverflowError, RuntimeError) as error:
            self.batcher.close()
            if hasattr(self, "web"):
                self.web.server_close()
            taken = f"{host}:{port}" + (f" or {host}:{grpc_port}" if grpc_port is not None else "")
            raise StartProblem(f"Cannot listen at {taken}: {error}") from error
        self.thread = threading.Thread(
            target=self.web.serve_forever, kwargs={"poll_interval": 0.05}, name="http", daemon=True
        )
        self.thread.start()
        self.stopped = False

    @property
    def url(self):
        """Address of the HTTP side."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.web.server_port}"

    @property
    def grpc_address(self):
        """Address of the gRPC side, host:port, or None."""
        return None if self.grpc is None else f"{self.host}:{self.grpc.port}"

    def predict(self, signature, arrays):
        """Checked, batched and run.

        Raises:
            RequestProblem: for arrays that do not fit.
        """
        return self.batcher.run(signature, signature.checked(arrays))

    def stop(self, seconds=30.0):
        """Answers what was accepted, refuses what comes after, and ends.

        Args:
            seconds: how long to wait for requests that were accepted.

        Returns:
            Whether all of them had their answer in time.
        """
        if self.stopped:
            return True
        self.stopped = True
        until = time.monotonic() + seconds
        self.gate.close()
        if self.grpc is not None:
            self.grpc.stop(seconds)
        self.web.shutdown()
        self.web.take_pending()
        self.web.socket.close()
        self.web.wake_waiting()
        done = self.gate.wait_until_empty(until - time.monotonic())
        # Connections that were told to come again may still be writing that.
        last = min(until, time.monotonic() + 1.0)
        while self.web.connections and time.monotonic() < last:
            time.sleep(0.005)
        if done:
            self.batcher.close()
        self.web.server_close()
        return done

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
