"""Puts the rows of requests that come at the same time into one call of the model."""

import collections
import threading
import time

import numpy as np

from .problems import RequestProblem


class _Waiting:
    """A request in the queue, and its answer."""

    __slots__ = ("arrays", "arrived", "done", "error", "key", "outputs", "rows", "signature")

    def __init__(self, signature, arrays):
        self.signature = signature
        self.arrays = arrays
        self.rows = len(next(iter(arrays.values())))
        # Only rows of the same shapes go together, for example images of the same size.
        self.key = (signature.name, *(x.shape[1:] for x in arrays.values()))
        self.arrived = time.monotonic()
        self.done = threading.Event()
        self.outputs = self.error = None

    def finish(self, outputs=None, error=None):
        self.outputs, self.error = outputs, error
        self.done.set()


class Batcher:
    """One thread that runs the model on whatever has gathered while it ran before.

    Under load batches so form by themselves; `max_wait` makes it wait for company even when it is idle. If a batch
    fails, its requests run one by one, so that only the bad ones fail.

    Args:
        max_rows: most rows of one call; larger requests run in several. 0 turns batching off: every request runs at
            once in the thread that brought it.
        max_wait: seconds to wait for more rows, counted from the arrival of the first.
        observe: called with the number of rows of every call of the model.
    """

    def __init__(self, max_rows=64, max_wait=0.0, observe=lambda rows: None):
        self.max_rows = max_rows
        self.max_wait = max_wait
        self.observe = observe
        self.queue = collections.deque()
        self.changed = threading.Condition()
        self.closing = False
        self.thread = None
        if max_rows:
            self.thread = threading.Thread(target=self._work, name="batcher", daemon=True)
            self.thread.start()

    def run(self, signature, arrays):
        """The outputs of a signature for checked arrays; blocks until they are there."""
        if self.thread is None or not signature.batches:
            return self._call(signature, arrays)
        request = _Waiting(signature, arrays)
        with self.changed:
            if self.closing:
                raise RequestProblem("The server is stopping.", status=503)
            self.queue.append(request)
            self.changed.notify()
        request.done.wait()
        if request.error is not None:
            raise request.error
        return request.outputs

    def close(self):
        """Ends the thread after the requests that it has."""
        with self.changed:
            self.closing = True
            self.changed.notify()
        if self.thread is not None:
            self.thread.join()

    def _work(self):
        while True:
            batch = self._next_batch()
            if not batch:
                return
            try:
                self._answer(batch)
            except BaseException as error:  # nobody may wait for ever
                for request in batch:
                    request.finish(error=error)

    def _next_batch(self):
        """Requests that go together, the oldest first; nothing when it is time to end."""
        with self.changed:
            while not self.queue:
                if self.closing:
                    return []
                self.changed.wait()
            first = self.queue[0]
            until = first.arrived + self.max_wait
            while not self.closing and self._rows_like(first) < self.max_rows:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self.changed.wait(left)
            return self._take_like(first)

    def _rows_like(self, first):
        return sum(one.rows for one in self.queue if one.key == first.key)

    def _take_like(self, first):
        taken, kept, rows = [], [], 0
        while self.queue:
            one = self.queue.popleft()
            if one.key == first.key and (not taken or rows + one.rows <= self.max_rows):
                taken.append(one)
                rows += one.rows
            else:
                kept.append(one)
        self.queue.extend(kept)
        return taken

    def _answer(self, batch):
        signature = batch[0].signature
        if len(batch) == 1:
            return self._answer_alone(batch[0])
        together = {
            name: np.concatenate([one.arrays[name] for one in batch]) for name in signature.inputs
        }
        try:
            outputs = self._call(signature, together)
        except Exception:  # one of them is bad: find out which
            for one in batch:
                self._answer_alone(one)
            return None
        begin = 0
        for one in batch:
            end = begin + one.rows
            one.finish({name: x[begin:end] for name, x in outputs.items()})
            begin = end

    def _answer_alone(self, request):
        try:
            request.finish(self._call(request.signature, request.arrays))
        except Exception as error:
            request.finish(error=error)

    def _call(self, signature, arrays):
        rows = len(next(iter(arrays.values()))) if signature.batches else 1
        if not signature.batches or not self.max_rows or rows <= self.max_rows:
            self.observe(rows)
            return signature.run(arrays)
        parts = []
        for begin in range(0, rows, self.max_rows):
            part = {name: x[begin : begin + self.max_rows] for name, x in arrays.items()}
            self.observe(len(next(iter(part.values()))))
            parts.append(signature.run(part))
        return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}
