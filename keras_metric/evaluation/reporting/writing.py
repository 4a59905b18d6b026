"""Writes files whole or not at all."""

import contextlib
import os
import shutil
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
        _put_in_place(ready, stack)


def _put_in_place(ready, stack):
    """Renames all `(name, path)`; where one cannot be, those before it get back what they were."""
    for name, path in ready:
        old = f"{name}.old" if path.exists() else None
        if old:
            stack.callback(Path(old).unlink, missing_ok=True)
            shutil.copy2(path, old)
        os.replace(name, path)
        stack.push(lambda failed, *_, path=path, old=old: failed and _restore(path, old))


def _restore(path, old):
    if old:
        os.replace(old, path)
    else:
        path.unlink()
