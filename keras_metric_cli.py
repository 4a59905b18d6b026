"""Entry of the `keras-metric` command: loads the library without TensorFlow's start-up lines.

It stands beside the package, not in it, because those lines are written to the standard error stream
while `import keras_metric` loads TensorFlow, and no logging level keeps them back: a usage error would
end in ten lines of which nine say nothing.
"""

import contextlib
import os
import sys
import tempfile


@contextlib.contextmanager
def quiet_start():
    """Holds back what is written to standard error, and shows it if loading fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                held.seek(0)
                sys.stderr.write(held.read().decode(errors="replace"))


def main():
    """Runs `keras-metric` and leaves with its exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with quiet_start():
            import keras

            from keras_metric.cli.main import main as command

            keras.ops.zeros(())  # the search for devices has its own lines
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(command())


if __name__ == "__main__":
    main()
