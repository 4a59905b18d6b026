"""The HTTP side: a thread for each connection, kept alive between requests.

`http.server` of the standard library is the base: it is there wherever Python is, its one thread for a connection suits
requests that wait for one model, and a local server needs no more. What it lacks is added here: JSON errors, limits of
sizes, times and connections, and a stop that loses nothing.
"""

import json
import re
import socket
import sys
import threading
import time
import traceback
from http import server
from urllib import parse

from . import described, rest
from .problems import RequestProblem

MODEL_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+))?(?P<verb>:[a-z]+|/metadata)?"
)
# The second is what comes without a content type, the third what `curl -d` says.
JSON_KINDS = (rest.JSON, "text/plain", "application/x-www-form-urlencoded")
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 2**20


class WebServer(server.ThreadingHTTPServer):
    """Listens and gives each connection a thread.

    Args:
        address: (host, port).
        app: `LocalServer`.
    """

    daemon_threads = True
    block_on_close = False  # the gate knows better what to wait for
    request_queue_size = 512

    def __init__(self, address, app):
        self.app = app
        self.connections = {}  # socket → whether it waits for a request
        self.lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler)

    def server_bind(self):
        """Binds without asking name servers, as the base class does."""
        server.socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address):
        """Starts the thread of a connection, unless there are too many."""
        with self.lock:
            full = len(self.connections) >= self.app.max_connections
            if not full:
                self.connections[request] = True
        if full:
            self._refuse(request)
        else:
            super().process_request(request, client_address)

    def _refuse(self, request):
        body = _error_body("The server has too many connections; try again.")
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            request.settimeout(0.2)
            request.sendall(head.encode() + body)
        except OSError:
            pass
        self.shutdown_request(request)

    def shutdown_request(self, request):
        """Ends a connection."""
        with self.lock:
            self.connections.pop(request, None)
        super().shutdown_request(request)

    def mark(self, connection, waiting):
        """Notes whether a connection waits for its next request."""
        with self.lock:
            if connection in self.connections:
                self.connections[connection] = waiting

    def wake_waiting(self):
        """Ends the reading side of connections that wait; what has already come is still read and answered."""
        with self.lock:
            waiting = [one for one, waits in self.connections.items() if waits]
        for connection in waiting:
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                pass

    def take_pending(self):
        """Accepts what waits in the queue of the listening socket, so that it gets an answer too."""
        self.socket.settimeout(0)
        for _ in range(self.request_queue_size):
            try:
                request, client_address = self.socket.accept()
            except OSError:
                return
            request.setblocking(True)
            self.process_request(request, client_address)

    def handle_error(self, request, client_address):
        """A connection that broke is the client's business; anything else is shown."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class Handler(server.BaseHTTPRequestHandler):
    """Reads requests of one connection and writes their answers."""

    protocol_version = "HTTP/1.1"
    server_version = "keras-metric"
    sys_version = ""
    wbufsize = -1  # head and body leave together
    disable_nagle_algorithm = True

    @property
    def app(self):
        """The application behind."""
        return self.server.app

    def setup(self):
        """Sets how long a silent client is waited for."""
        self.timeout = self.app.idle_seconds
        self.entered = False
        super().setup()

    def handle_one_request(self):
        """One request; the gate hears of it from its first line to its answer."""
        self.command, self.signature, self.unread = None, "none", 0
        self.server.mark(self.connection, True)
        if self.app.gate.closed:
            self.close_connection = True
            self.connection.settimeout(0.05)  # only what is on its way
        try:
            super().handle_one_request()
        except OSError:  # the client went away
            self.close_connection = True
        finally:
            if self.entered:
                self.entered = False
                self.app.gate.leave()

    def parse_request(self):
        """Reads the head."""
        self.server.mark(self.connection, False)
        self.began = time.monotonic()
        self.entered = self.app.gate.enter()
        if not super().parse_request():
            return False
        if self.request_version == "HTTP/0.9":
            self.send_error(400, "Bad request line: it has no version of HTTP.")
            return False
        try:
            self.unread = self._length()
        except RequestProblem as problem:
            self._answer_problem(problem, close=True)
            return False
        if not self.entered:
            problem = RequestProblem("The server is stopping.", 503, {"Retry-After": "1"})
            self._answer_problem(problem, close=True)
            return False
        return True

    def handle_expect_100(self):
        """Lets the client send its body, unless it is too large."""
        try:
            self._length()
        except RequestProblem:
            return True  # parse_request refuses
        return super().handle_expect_100()

    def _length(self):
        """Bytes of the body, as the head announces them."""
        if self.headers.get("Transfer-Encoding"):
            raise RequestProblem("Send a Content-Length instead of Transfer-Encoding.", 411)
        given = self.headers.get_all("Content-Length") or ["0" if self.command != "POST" else ""]
        if not given[0]:
            raise RequestProblem("The request has no Content-Length.", 411)
        if len(set(given)) > 1 or not (given[0].isascii() and given[0].isdigit()):
            raise RequestProblem("The Content-Length must be one whole number.")
        length = int(given[0][:20])
        self.unread = length
        if length > self.app.limits.body:
            raise RequestProblem(
                f"A body may have {self.app.limits.body} bytes. Received: {length}. Send fewer rows in a request.",
                status=413,
            )
        return length

    def do_GET(self):
        """Status, metadata, health, metrics, the page and its pictures."""
        self._answer(self._got)

    do_HEAD = do_GET

    def do_POST(self):
        """Predictions."""
        self._answer(self._predicted)

    def _not_allowed(self):
        self._answer(self._refused_method)

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _not_allowed

    def _refused_method(self):
        raise RequestProblem(
            f"The method {self.command} is not allowed.", 405, {"Allow": "GET, HEAD, POST"}
        )

    def _answer(self, make):
        """Writes what `make` gives, (content type, body[, headers]), or what went wrong."""
        try:
            kind, body, *headers = make()
        except RequestProblem as problem:
            self._answer_problem(problem)
        except OSError:  # the client stopped in the middle of its request
            self.close_connection = True
        except Exception:
            traceback.print_exc()
            self._answer_problem(
                RequestProblem("Internal error; the server's log tells more.", 500)
            )
        else:
            self._write(200, kind, body, *headers)

    def _answer_problem(self, problem, close=False):
        self.close_connection |= close
        self._write(problem.status, rest.JSON, _error_body(str(problem)), problem.headers)

    def _write(self, status, kind, body, headers=None):
        over = self.unread > 0  # a body that nobody reads
        closing = self.close_connection or over or self.app.gate.closed
        self.close_connection = closing
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if closing:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        if over:
            self._linger()
        self.app.metrics.requests.add("rest", self.signature, status)
        if self.signature != "none":
            self.app.metrics.seconds.observe(time.monotonic() - self.began)

    def _linger(self):
        """Reads on for a moment: closing at once would wipe out the answer on its way to a client that still sends."""
        left, until = min(self.unread, LINGER_BYTES), time.monotonic() + LINGER_SECONDS
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS / 4)
            while left > 0 and time.monotonic() < until:
                data = self.rfile.read1(min(left, 65536))
                if not data:
                    return
                left -= len(data)
        except OSError:
            return

    def send_error(self, code, message=None, explain=None):
        """What the base class refuses, as JSON."""
        self.close_connection = True
        self.request_version = self.protocol_version  # the oldest one has no head
        text = message or explain or self.responses.get(code, ("Bad request",))[0]
        if code == 501:
            code, text = 405, f"The method {self.command} is not allowed."
        self._write(int(code), rest.JSON, _error_body(str(text)))

    def log_message(self, format, *arguments):
        """Silent: the metrics count, and errors of the server itself are shown where they happen."""

    def _got(self):
        path = parse.urlsplit(self.path).path
        if path in ("/", "/index.html"):
            return self.app.page.html()
        if path in ("/health", "/healthz"):
            return rest.JSON, b'{"status": "ok"}'
        if path in ("/metrics", "/monitoring/prometheus/metrics"):
            return "text/plain; version=0.0.4; charset=utf-8", self.app.metrics.text().encode()
        if path.startswith("/images/"):
            return self.app.page.image(parse.unquote(path.removeprefix("/images/")))
        verb = self._model_path(path)["verb"]
        if verb == "/metadata":
            return rest.JSON, json.dumps(described.metadata(self.app.model)).encode()
        if verb is None:
            return rest.JSON, json.dumps(described.status(self.app.model)).encode()
        raise RequestProblem(f"{verb[1:]} wants the method POST.", 405, {"Allow": "POST"})

    def _predicted(self):
        url = parse.urlsplit(self.path)
        verb = self._model_path(url.path)["verb"]
        if verb != ":predict":
            if verb in (None, "/metadata"):
                raise RequestProblem("This wants the method GET.", 405, {"Allow": "GET, HEAD"})
            raise RequestProblem(f"There is no {verb[1:]!r} here, only 'predict'.", 404)
        size = self.unread
        self.app.gate.hold(size)
        try:
            return self._predict(self._body(size), parse.parse_qs(url.query))
        finally:
            self.app.gate.release(size)

    def _model_path(self, path):
        found = MODEL_PATH.fullmatch(path)  # still quoted: a name may hold / and :
        model = self.app.model
        if found is None:
            raise RequestProblem("There is nothing at this address.", 404)
        name = parse.unquote(found["name"])
        if name != model.name or found["version"] not in (None, str(model.version)):
            version = f", version {found['version']}," if found["version"] else ""
            raise RequestProblem(
                f"There is no model {name!r}{version} here: "
                f"this serves {model.name!r}, version {model.version}.",
                404,
            )
        return found

    def _body(self, size):
        body = self.rfile.read(size)
        self.unread = 0
        if len(body) < size:
            self.close_connection = True
            raise RequestProblem(f"The body ends after {len(body)} of {size} bytes.")
        return body

    def _predict(self, body, query):
        app = self.app
        kind = self.headers.get_content_type()
        if kind in JSON_KINDS:
            content = rest.parsed_json(body)
            signature = app.model.signature(content.get("signature_name"))
            self.signature = signature.name
            arrays = rest.arrays_of_json(content, signature, app.pixel_range)
            by_row = "instances" in content
        else:
            signature = app.model.signature(query.get("signature_name", [None])[-1])
            self.signature = signature.name
            arrays = rest.arrays_of_bytes(body, kind, signature, app)
            by_row = True
        outputs = app.predict(signature, arrays)
        if rest.NPZ in self.headers.get("Accept", ""):
            return rest.NPZ, rest.answer_npz(outputs)
        return rest.JSON, rest.answer_json(outputs, by_row)


def _error_body(message):
    return json.dumps({"error": message}, ensure_ascii=False).encode()
