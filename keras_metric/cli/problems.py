"""The two ways in which a command ends badly, and how they are told."""


class UsageError(Exception):
    """The command was called wrongly: usage and one line, exit code 2."""


class Failure(Exception):
    """The command was called rightly and could not do its work: one line, exit code 1."""


def one_line(error):
    """What an exception says, on one line; its kind where it says nothing."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    return text or type(error).__name__
