"""What goes wrong while a command runs, as a sentence that says what to do and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from porthole_client import errors
from porthole_client.cli.exits import Exit, Failure

_EXITS: tuple[tuple[type[errors.ClientError], Exit], ...] = (
    (errors.Nowhere, Exit.UNREACHABLE),
    (errors.Unreachable, Exit.UNREACHABLE),
    (errors.TimedOut, Exit.TIMED_OUT),
    (errors.NotSignedIn, Exit.NOT_ALLOWED),
    (errors.NotAllowed, Exit.NOT_ALLOWED),
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.Conflict, Exit.CONFLICT),
    (errors.Changed, Exit.CONFLICT),
    (errors.Invalid, Exit.USAGE),
    (errors.StreamLost, Exit.UNREACHABLE),
    (errors.ProgramFault, Exit.NOT_RUN),
)

_HINTS: tuple[tuple[type[errors.ClientError], str], ...] = (
    (errors.Unreachable, "Is it running? See `porthole status`."),
    (errors.NotSignedIn, "Give a token with --token-file or PORTHOLE_TOKEN."),
    (errors.Broken, "Its log (`log/control-plane.log` in its home) says more."),
)


def failure_of(error: errors.ClientError) -> Failure:
    """Return how a command ends after `error`."""
    code = next((code for kind, code in _EXITS if isinstance(error, kind)), Exit.FAILED)
    hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), "")
    return Failure(f"{error.sentence} {hint}".strip(), code)


@contextmanager
def failures() -> Iterator[None]:
    """Turn what goes wrong inside into a `Failure`."""
    try:
        yield
    except errors.ClientError as error:
        raise failure_of(error) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        message = first["msg"].removeprefix("Value error, ")
        raise Failure(f"{where}: {message}.", Exit.USAGE) from error
