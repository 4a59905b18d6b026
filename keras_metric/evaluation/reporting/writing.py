"""Writes files whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path


def write_text(contents):
    """Writes all files aside, then puts them in place; if anything fails, what was there stays.

    Args:
        contents: path → text.
    """
    with contextlib.ExitStack() as stack:
        ready = []
        for path, text in contents.items():
            path = Path(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
            stack.callback(Path(name).unlink, missing_ok=True)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(name, 0o644)
            ready.append((name, path))
        for name, path in ready:
            os.replace(name, path)
