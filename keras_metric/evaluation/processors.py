"""How many threads are worth starting, and what each of them may take."""

import contextlib
import os
import threading

_lock = threading.Lock()
_users = 0
_limit = None


def processors():
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def shared_by(workers):
    """Meanwhile each of `workers` threads that multiply matrices takes its share of the processors only.

    Otherwise every product takes all of them, and the threads wait for each other, busily: it costs a third of the
    time. Without threadpoolctl, which comes with scikit-learn, that is how it stays.
    """
    global _users, _limit
    with _lock:  # the limit is one for the whole process: the first sets it, the last takes it back
        _users += 1
        if _users == 1:
            _limit = _limited(max(processors() // workers, 1))
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _limit:
                _limit.restore_original_limits()
                _limit = None


def _limited(threads):
    try:
        import threadpoolctl
    except ImportError:
        return None
    return threadpoolctl.threadpool_limits(threads, user_api="blas")
