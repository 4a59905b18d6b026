"""The page for trying a model in a browser, and the pictures of neighbours that it shows."""

import base64
import hashlib
import json
import re
from pathlib import Path

import tensorflow as tf

from . import images
from .problems import RequestProblem, StartProblem

SOURCE = Path(__file__).parent / "page.html"
TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".webp": "image/webp",
}


class Page:
    """One HTML file with everything in it; it loads nothing from elsewhere.

    Args:
        model: `Model`.
        folder: of pictures, or None. An item of the index has one if its id is the path of a file in it, from the
            folder on or as it was given to `keras-metric index`.

    Raises:
        StartProblem: if the folder is not there.
    """

    def __init__(self, model, folder=None):
        self.files = {} if folder is None else _files(Path(folder))
        about = json.dumps(_about(model, bool(self.files)), ensure_ascii=False)
        html = SOURCE.read_text(encoding="utf-8")
        # `<` could end the script element early.
        html = html.replace("/*ABOUT*/null", about.replace("<", "\\u003c"))
        self.body = html.encode()
        self.headers = {"Content-Security-Policy": _policy(html), "Referrer-Policy": "no-referrer"}

    def html(self):
        """Content type, body and headers."""
        return "text/html; charset=utf-8", self.body, self.headers

    def image(self, name):
        """The picture of an item. Names are looked up among the files found at the start, never joined to a path.

        Raises:
            RequestProblem: if there is none.
        """
        file = self.files.get(name)
        if file is None:
            raise RequestProblem("There is no picture of this name.", 404)
        try:
            return TYPES[file.suffix.lower()], file.read_bytes()
        except OSError as error:
            raise RequestProblem("The picture is gone.", 404) from error


def _files(folder):
    if not folder.is_dir():
        raise StartProblem(f"{folder}: the folder of pictures is not there.")
    inside = folder.resolve()
    found = {}
    for file in sorted(folder.rglob("*")):
        real = file.resolve()  # a link may lead out
        if file.suffix.lower() in TYPES and real.is_file() and real.is_relative_to(inside):
            found[file.relative_to(folder).as_posix()] = found[str(file)] = real
    return found


def _about(model, pictures):
    embed = model.signatures.get("embed") or model.signatures.get("serving_default")
    takes = "other"
    if embed is not None and len(embed.inputs) == 1:
        spec = next(iter(embed.inputs.values()))
        if images.takes_images(spec):
            takes = "images"
        elif spec.dtype == tf.string and spec.shape.rank == 1:
            takes = "bytes"
    distance = model.card.get("distance")
    return {
        "name": model.name,
        "version": model.version,
        "signatures": sorted(model.signatures),
        "takes": takes,
        "inputs": {}
        if embed is None
        else {name: f"{one.dtype.name} {one.shape}" for name, one in embed.inputs.items()},
        "threshold": model.card.get("threshold"),
        "distance": distance.get("class_name") if isinstance(distance, dict) else None,
        "index": (model.card.get("index") or {}).get("size"),
        "pictures": pictures,
    }


def _policy(html):
    """Allows the page's own style and script by their hashes, its own server, and nothing else."""

    def hashes(element):
        blocks = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
        digests = [hashlib.sha256(block.encode()).digest() for block in blocks]
        return " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; "
        "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
