"""What the pages of documentation contain: names of the library in backticks, and blocks of Python marked to run."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ROOMS = {
    "callbacks", "compat", "data", "distances", "evaluation", "export", "index", "layers", "losses", "metrics",
    "miners", "models", "serving",
}  # fmt: skip
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MARKED = re.compile(r"^<!-- run -->\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def runnable(text):
    """The code of the blocks that stand under `<!-- run -->`, in order."""
    return MARKED.findall(text)


def expressions(text):
    """Expressions in backticks that begin with a room of the library, without the leading `keras_metric.`."""
    found = []
    for quoted in re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)):
        source = quoted.removeprefix("keras_metric.")
        if re.match(r"\w+", source)[0] in ROOMS if re.match(r"\w", source) else False:
            try:
                ast.parse(source, mode="eval")
            except SyntaxError:
                continue
            if re.match(r"\w+\.", source):
                found.append(source)
    return found


def names_in_code(text):
    """Dotted names `keras_metric.…` in all Python blocks."""
    blocks = [code for language, code in BLOCK.findall(text) if language == "python"]
    return re.findall(r"\bkeras_metric\.((?:\w+\.)*\w+)", "\n".join(blocks))


def dotted(source):
    """`losses.TripletLoss` of `losses.TripletLoss(margin=1.0).call`: the first chain of attributes."""
    return re.match(r"[\w.]*\w", source)[0]


def can_be_built(source):
    """Whether an expression is a call of literals only, which can be evaluated as it stands."""
    tree = ast.parse(source, mode="eval")
    if not isinstance(tree.body, ast.Call):
        return False
    free = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return free <= ROOMS and ... not in [
        n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)
    ]
