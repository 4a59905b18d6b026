"""`keras-metric serve`: a local server for an exported model, with a page to try it."""

from keras_metric.serving import server

NAME = "serve"
SUMMARY = "serve an exported model on this machine, with a page to try it"
EXAMPLE = "keras-metric serve saved_models/digits --pixel-range 0 16"
DESCRIPTION = """
Serves an exported model for local trials: the REST interface of TensorFlow Serving, its gRPC interface with
--grpc-port, health at /health, metrics at /metrics, and a page at / to compare two images or to see the neighbours
of one. SIGTERM or Ctrl-C stops it after the requests that it has accepted.
"""


def add_arguments(parser):
    """Options of the command."""
    server.add_arguments(parser)


def run(arguments):
    """Serves until it is told to stop."""
    server.run(arguments)
