"""Parses the command line, runs one command, and turns what went wrong into one line and an exit code."""

import argparse
import sys

import keras_metric
from keras_metric.cli import (
    data,
    demo,
    embed,
    evaluate,
    export,
    index,
    match,
    search,
    serve,
    train,
    verify,
)
from keras_metric.cli.problems import UsageError, one_line

COMMANDS = (demo, data, train, evaluate, export, verify, embed, index, search, match, serve)
DONE, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130


def build_parser():
    """The parser of `keras-metric` and, by name, those of its commands."""
    parser = argparse.ArgumentParser(
        prog="keras-metric",
        description="Deep metric learning: train an encoder, judge it, search with it, serve it.",
        epilog="example:\n  keras-metric demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=keras_metric.__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    parsers = {}
    for command in COMMANDS:
        own = commands.add_parser(
            command.NAME,
            help=command.SUMMARY,
            description=command.DESCRIPTION.strip(),
            epilog="example:\n" + "\n".join(f"  {line}" for line in command.EXAMPLE.splitlines()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(own)
        own.add_argument(
            "--debug", action="store_true", help="show the full traceback if something fails"
        )
        own.set_defaults(run=command.run)
        parsers[command.NAME] = own
    return parser, parsers


def main(argv=None):
    """Runs `keras-metric` with the given arguments (default: those of the process).

    Returns:
        0 done, 1 failed, 2 called wrongly, 130 interrupted.
    """
    parser, parsers = build_parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as leaving:  # after --help, or usage and one line
        return leaving.code or DONE
    try:
        arguments.run(arguments)
        return DONE
    except KeyboardInterrupt:
        print("\nkeras-metric: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output had enough
        sys.stderr.close()
        return DONE
    except UsageError as error:
        parsers[arguments.command].print_usage(sys.stderr)
        print(f"keras-metric {arguments.command}: error: {one_line(error)}", file=sys.stderr)
        return BAD_USAGE
    except Exception as error:
        if arguments.debug:
            raise
        print(f"keras-metric {arguments.command}: failed: {one_line(error)}", file=sys.stderr)
        return FAILED
