"""A small local server for an exported model.

It imports TensorFlow, NumPy and the standard library only, and nothing of the library around it: this folder can be
copied to a machine without Keras and run there with `python -m server PATH`.
"""

from .command import add_arguments, run
from .local_server import LocalServer
from .model import Limits
from .problems import RequestProblem, StartProblem

__all__ = ["LocalServer", "Limits", "RequestProblem", "StartProblem", "add_arguments", "run"]
