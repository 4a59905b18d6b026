"""Counters and histograms in the text form that Prometheus reads."""

import threading

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Counter:
    """Counts by labels."""

    def __init__(self, name, about, labels):
        self.name, self.about, self.labels = name, about, labels
        self.counts = {}
        self.lock = threading.Lock()

    def add(self, *values):
        """Counts one more; `values` in the order of the labels."""
        with self.lock:
            self.counts[values] = self.counts.get(values, 0) + 1

    def lines(self):
        """Lines of the exposition."""
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} counter"
        with self.lock:
            counts = sorted(self.counts.items())
        for values, count in counts:
            named = ",".join(
                f'{label}="{_escaped(value)}"'
                for label, value in zip(self.labels, values, strict=True)
            )
            yield f"{self.name}{{{named}}} {count}"


class Histogram:
    """Counts values by upper bounds."""

    def __init__(self, name, about, bounds):
        self.name, self.about, self.bounds = name, about, bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0
        self.lock = threading.Lock()

    def observe(self, value):
        """Counts one value."""
        place = sum(value > bound for bound in self.bounds)
        with self.lock:
            self.counts[place] += 1
            self.sum += value

    def lines(self):
        """Lines of the exposition."""
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} histogram"
        with self.lock:
            counts, total = list(self.counts), self.sum
        so_far = 0
        for bound, count in zip((*self.bounds, "+Inf"), counts, strict=True):
            so_far += count
            yield f'{self.name}_bucket{{le="{bound}"}} {so_far}'
        yield f"{self.name}_sum {total}"
        yield f"{self.name}_count {so_far}"


class Metrics:
    """All that the server counts.

    Args:
        gauges: dict of functions that give a number now, by (name, description).
    """

    def __init__(self, gauges):
        self.requests = Counter(
            "keras_metric_requests_total",
            "Answered requests.",
            ("protocol", "signature", "code"),
        )
        self.seconds = Histogram(
            "keras_metric_request_seconds", "Time from the whole request to its answer.", SECONDS
        )
        self.rows = Histogram("keras_metric_batch_rows", "Rows of each call of the model.", ROWS)
        self.gauges = gauges

    def text(self):
        """The exposition."""
        lines = []
        for one in (self.requests, self.seconds, self.rows):
            lines += one.lines()
        for (name, about), value in self.gauges.items():
            lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge", f"{name} {value()}"]
        return "\n".join(lines) + "\n"


def _escaped(value):
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
