"""What the exit code of `porthole` means."""

from enum import IntEnum


class Exit(IntEnum):
    """One number per kind of ending, for scripts; the sentence on stderr has the rest."""

    OK = 0
    FAILED = 1  # understood, tried, and it did not work
    USAGE = 2  # the command line itself makes no sense
    NOT_FOUND = 3  # what was named is not there, or is somebody else's
    NOT_ALLOWED = 4  # no token, or one that may not do this
    UNREACHABLE = 5  # no server answered
    TIMED_OUT = 6  # it was begun, and did not come to its end in time
    CONFLICT = 7  # something else is in the way: a name taken, a home in use
    NOT_RUN = 126  # a desktop did not run the program that `session exec` named
    INTERRUPTED = 130  # Ctrl-C


class Failure(Exception):
    """A command ends with a sentence and an exit code.

    Args:
        sentence: one or two sentences that say what to do.
        code: the exit code.
    """

    def __init__(self, sentence: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(sentence)
        self.code = code
