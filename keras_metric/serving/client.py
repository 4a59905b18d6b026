"""A client of TensorFlow Serving, or of `keras-metric serve`, for exported models."""

import random
import time
from urllib import parse

import numpy as np

from keras_metric import checks
from keras_metric.index.results import MatchResult, SearchResult
from keras_metric.serving import inputs
from keras_metric.serving.over_grpc import GrpcTransport
from keras_metric.serving.over_rest import RestTransport
from keras_metric.serving.problems import (
    BadAnswer,
    RequestRefused,
    ServerFailed,
    ServerUnavailable,
)
from keras_metric.serving.results import SimilarityResult
from keras_metric.serving.transport import Refusal

PORTS = {"rest": 8501, "grpc": 8500}
LONGEST_PAUSE = 5.0


class Client:
    """Embeds, compares, searches and matches on a server.

        with Client("localhost", model="digits") as client:
            found = client.search(images)

    What the server says of its signatures is asked once, so that wrong shapes and dtypes are refused here, with a clear
    message, and right ones are cast. Requests that fail because the server is away or busy (no connection, HTTP 429,
    502, 503 or 504, gRPC UNAVAILABLE, DEADLINE_EXCEEDED or ABORTED) are sent again after a pause that doubles, within
    `timeout`; all others fail at once. A client may be used by several threads.

    Args:
        url: `host`, `host:port`, `http://host:port` or `https://host:port`; the usual ports are 8501 for REST and 8500
            for gRPC. With https gRPC uses TLS.
        model: name of the model on the server.
        protocol: "rest" or "grpc". gRPC sends numbers as they are and is several times as fast for large inputs.
        version: number of the version; None: the newest one that the server has.
        timeout: seconds for a request and its repetitions. Over REST, an answer that has begun in time may go on for
            longer, as long as its bytes keep coming.
        retries: most repetitions of a request; 0 for none.
        backoff: seconds of the first pause.
        batch_size: most rows of one request; larger inputs go in several, one after the other.
        headers: dict of HTTP headers or gRPC metadata to send along, for example an authorization.

    Raises:
        ImportError: if the packages of the extra `serving` are missing.
        ValueError: for a wrong argument. The server is first asked when something is asked of it.
    """

    def __init__(
        self,
        url="localhost",
        model="model",
        protocol="rest",
        version=None,
        timeout=10.0,
        retries=3,
        backoff=0.1,
        batch_size=64,
        headers=None,
    ):
        owner = "Client"
        checks.choice(protocol, "protocol", owner, tuple(PORTS))
        if not isinstance(model, str) or not model:
            checks.fail("model", owner, "be the name of a model on the server", model)
        if version is not None:
            checks.whole(version, "version", owner)
        self.timeout = checks.number(timeout, "timeout", owner, above=0)
        self.retries = checks.whole(retries, "retries", owner, at_least=0)
        self.backoff = checks.number(backoff, "backoff", owner, at_least=0)
        self.batch_size = checks.whole(batch_size, "batch_size", owner)
        self.model, self.version, self.protocol = model, version, protocol
        parts = _address(url, PORTS[protocol])
        self.server = f"{parts.scheme}://{parts.netloc}{parts.path}"
        if protocol == "rest":
            self.transport = RestTransport(self.server, model, version, headers)
        else:
            secure = parts.scheme == "https"
            self.server = parts.netloc
            self.transport = GrpcTransport(parts.netloc, secure, model, version, headers)
        self._descriptions = None

    def embed(self, x):
        """Embeddings (B, D) of a batch of raw inputs.

        Args:
            x: array (B, …); a list of texts, or of bytes such as encoded images, if the model takes them; a dict of
                these for an encoder of several inputs.

        Raises:
            ServingError: if no good answer comes.
            TypeError, ValueError: for inputs that the model does not take.
        """
        return self.predict("embed", x)["embedding"]

    def similarity(self, a, b):
        """`SimilarityResult` of the rows of `a` with those of `b`, as many; each like the `x` of `embed`."""
        given = self._arrays("similarity", (a, "a"), (b, "b"))
        outputs = self._run("similarity", given)
        return SimilarityResult(outputs["distance"], outputs["similarity"], outputs.get("same"))

    def search(self, x):
        """The nearest items of the exported index, as a `keras_metric.index` `SearchResult`; k was chosen at export."""
        outputs = self.predict("search", x)
        return SearchResult(outputs["distances"], outputs["ids"], outputs.get("labels"))

    def match(self, x):
        """Who each row is, if near enough to anybody, as a `keras_metric.index` `MatchResult`."""
        outputs = self.predict("match", x)
        return MatchResult(
            outputs["ids"], outputs.get("labels"), outputs["distances"], outputs["matched"]
        )

    def predict(self, signature, x):
        """Dict of arrays that any signature gives for a batch of its inputs; texts come as str."""
        return self._run(signature, self._arrays(signature, (x, "")))

    def ready(self):
        """Whether the server is there and has the model; asks once and raises nothing."""
        try:
            return self.transport.ready(self.timeout)
        except Refusal:
            return False

    def wait_until_ready(self, seconds=60.0):
        """Waits for the server to have the model.

        Raises:
            ServerUnavailable: if it has not by then.
        """
        until, pause = time.monotonic() + seconds, 0.05
        while not self.ready():
            if time.monotonic() + pause > until:
                raise ServerUnavailable(
                    f"The model {self.model!r} is not ready at {self.server} after {seconds:g} seconds.",
                    self.server,
                    self.model,
                )
            time.sleep(pause)
            pause = min(2 * pause, 1.0)
        return self

    def signatures(self):
        """What the server says of its signatures: `Description` by name, asked once."""
        return self._signatures_for(None)

    def _signatures_for(self, signature):
        if self._descriptions is None:
            self._descriptions = self._trying(signature, self.transport.describe)
        return self._descriptions

    def close(self):
        """Ends the connections."""
        self.transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _arrays(self, signature, *batches):
        """Checked arrays of one or, for `similarity`, two batches."""
        known = self._signatures_for(signature)
        found = known.get(signature)
        if found is None:
            raise RequestRefused(
                f"The model {self.model!r} at {self.server} has no signature {signature!r}. "
                f"It has {sorted(known)}." + _WAYS_OUT.get(signature, ""),
                self.server,
                self.model,
                signature,
            )
        owner = f"{signature!r} of the model {self.model!r}"
        given = {}
        for batch, prefix in batches:
            given.update(inputs.arrays(batch, prefix, found, owner))
        if set(given) != set(found.inputs):
            raise ValueError(
                f"{owner} takes the inputs {sorted(found.inputs)}. Received: {sorted(given)}."
            )
        return given

    def _run(self, signature, given):
        """The outputs for all rows, in requests of at most `batch_size`."""
        count = inputs.rows(given, f"{signature!r} of the model {self.model!r}")
        parts = []
        for begin in range(0, count, self.batch_size):
            part = {name: x[begin : begin + self.batch_size] for name, x in given.items()}
            parts.append(self._request(signature, part))
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}

    def _request(self, signature, part):
        found = self._signatures_for(signature)[signature]
        rows = len(next(iter(part.values())))
        outputs = self._trying(
            signature, lambda left: self.transport.predict(signature, part, found, left)
        )
        for name, x in outputs.items():
            if not x.ndim or len(x) != rows:
                raise BadAnswer(
                    f"{self._what(signature)}: `{name}` has the shape {x.shape} for {rows} rows.",
                    self.server,
                    self.model,
                    signature,
                )
        return outputs

    def _trying(self, signature, send):
        """What `send(seconds left)` gives, after repetitions if need be."""
        until, pause, attempt = time.monotonic() + self.timeout, self.backoff, 0
        while True:
            try:
                return send(max(until - time.monotonic(), 0.001))
            except Refusal as refusal:
                attempt += 1
                # A random share of the pause, so that clients that failed together do not come back together.
                rest = max(pause * random.uniform(0.5, 1.0), min(refusal.after, LONGEST_PAUSE))
                over = time.monotonic() + rest >= until
                if not refusal.transient or attempt > self.retries or over:
                    raise self._error(refusal, signature, attempt) from refusal
                time.sleep(rest)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _what(self, signature):
        asked = "The description" if signature is None else f"{signature!r}"
        return f"{asked} of the model {self.model!r} at {self.server} ({self.protocol})"

    def _error(self, refusal, signature, attempts):
        if refusal.fault:
            # The server may have another version now: ask anew next time.
            self._descriptions = None
        kind, does = next(
            (kind, does)
            for holds, kind, does in (
                (refusal.transient, ServerUnavailable, "cannot be had"),
                (refusal.fault, RequestRefused, "is refused"),
                (refusal.status in (None, 200), BadAnswer, "has a wrong answer"),
                (True, ServerFailed, "failed on the server"),
            )
            if holds
        )
        status = "" if refusal.status is None else f" [{refusal.status}]"
        tries = f" after {attempts} attempts" if attempts > 1 else ""
        text = f"{self._what(signature)} {does}{tries}{status}: {refusal}"
        if refusal.status in (413, "RESOURCE_EXHAUSTED"):
            text += f" The client sends up to batch_size={self.batch_size} rows in a request."
        return kind(text, self.server, self.model, signature, refusal.status)


_WAYS_OUT = {
    "search": " Export the model with an index.",
    "match": " Export the model with an index and a threshold.",
}


def _address(url, port):
    """The parts of an address, with a scheme and a port."""
    wrong = "be host, host:port, or an address that begins with http:// or https://"
    if not isinstance(url, str) or not url.strip():
        checks.fail("url", "Client", wrong, url)
    full = url if "://" in url else f"http://{url}"
    try:
        parts = parse.urlsplit(full)
        missing = parts.port is None
    except ValueError:
        checks.fail("url", "Client", wrong, url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        checks.fail("url", "Client", wrong, url)
    netloc = parts.netloc
    if missing and "://" not in url:
        netloc = f"{netloc}:{port}"
    elif missing:
        netloc = f"{netloc}:{443 if parts.scheme == 'https' else 80}"
    return parts._replace(netloc=netloc, path=parts.path.rstrip("/"))
