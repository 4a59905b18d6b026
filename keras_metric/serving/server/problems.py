"""What can be wrong with a request, and the HTTP status that says so."""


class RequestProblem(Exception):
    """A request that cannot be answered; the server goes on.

    Args:
        message: what is wrong and what would be right; it goes to the caller.
        status: HTTP status, 4xx or 5xx.
        headers: further HTTP headers of the answer.
    """

    def __init__(self, message, status=400, headers=None):
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class StartProblem(Exception):
    """The server cannot start: a wrong path, a wrong option or a port in use."""


def shortened(text, length=300):
    """The first line of a text that may be long, such as TensorFlow's messages with all their nodes."""
    first = str(text).strip().partition("\n")[0]
    return first if len(first) <= length else first[: length - 1] + "…"
