"""Who is being served: lets requests in, or not, and waits for the last of them to end."""

import threading
import time

from .problems import RequestProblem


class Gate:
    """Counts requests and the bytes of their bodies.

    Args:
        most_bytes: bodies that may be held at a time, in bytes; further requests are told to come again.
    """

    def __init__(self, most_bytes):
        self.most_bytes = most_bytes
        self.bytes = 0
        self.inside = 0
        self.closed = False
        self.changed = threading.Condition()

    def enter(self):
        """Lets a request in; False once the gate is closed."""
        with self.changed:
            if not self.closed:
                self.inside += 1
            return not self.closed

    def leave(self):
        """A request that was let in has its answer."""
        with self.changed:
            self.inside -= 1
            self.changed.notify_all()

    def hold(self, count):
        """Reserves memory for a body of so many bytes."""
        with self.changed:
            if self.bytes + count > self.most_bytes:
                raise RequestProblem(
                    "The server is busy with other large requests; try again.",
                    status=503,
                    headers={"Retry-After": "1"},
                )
            self.bytes += count

    def release(self, count):
        """Gives the memory back."""
        with self.changed:
            self.bytes -= count

    def close(self):
        """From now on nothing is let in."""
        with self.changed:
            self.closed = True

    def wait_until_empty(self, seconds):
        """Waits for all that were let in; False if some are left after so many seconds."""
        until = time.monotonic() + seconds
        with self.changed:
            while self.inside:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self.changed.wait(left)
        return True
