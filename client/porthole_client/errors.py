"""What can go wrong when a program talks to Porthole.

* `ClientError`: everything below
    * `Nowhere`: nobody said which server
    * `Unreachable`: nobody answered
    * `TimedOut`: what was waited for did not happen in time
    * `SessionEnded`: what was waited for can no longer happen; carries the session
    * `StreamLost`: a stream ended while it was still talked on
    * `StreamRefused`: a desktop does not open that stream; `code` says why
    * `FileFault`: a desktop does not do that with its files; `code` says why
    * `ProgramFault`: a desktop does not run that program; `code` says why
    * `Answered`: the server refused; carries `status`, `code`, `detail`, `request_id`
        * `Invalid`: the request cannot be done as it stands; `fields` says what is wrong
        * `NotSignedIn`: no token, or one that is not valid
        * `NotAllowed`: the token may not do this
        * `NotFound`: it is not there, or it is another's
        * `Conflict`: what is there does not allow it
        * `Changed`: it has changed since it was read
        * `TooMany`: too much at once; try again later
        * `Broken`: the server's own fault

`code` is the stable name of the problem; `str()` is a sentence for a person.
"""

from collections.abc import Mapping
from typing import Any

from porthole_contract.errors import PortholeError


class ClientError(PortholeError):
    """The root of what this package raises."""

    @property
    def sentence(self) -> str:
        """What it says, with an end: servers' and systems' own words may have none."""
        said = str(self)
        return said if said.endswith((".", "!", "?")) else f"{said}."


class Nowhere(ClientError):
    """Nobody said which server, or what was said is none."""

    code = "no_server"


class Unreachable(ClientError):
    """Nobody answered."""

    code = "unreachable"

    def __init__(self, why: str) -> None:
        super().__init__(f"Porthole does not answer: {why}")


class TimedOut(ClientError):
    """What was waited for did not happen in time."""

    code = "timed_out"


class SessionEnded(ClientError):
    """What was waited for can no longer happen.

    Args:
        sentence: why.
        session: the session as it was seen last.
    """

    code = "session_ended"

    def __init__(self, sentence: str, session: Any) -> None:
        super().__init__(sentence)
        self.session = session


class StreamLost(ClientError):
    """A stream ended while it was still talked on.

    Args:
        code: a word for programs, e.g. `session_ended`.
        sentence: for people.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class StreamRefused(ClientError):
    """A desktop does not open that stream.

    Args:
        code: `programs_forbidden`, `channel_not_served`, `too_many_files`, ...
        sentence: for people.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class FileFault(ClientError):
    """A desktop does not do that with its files.

    Args:
        code: `not_found`, `exists`, `full`, `outside`, `download_forbidden`, ...
        sentence: for people.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class ProgramFault(ClientError):
    """A desktop does not run that program.

    Args:
        code: `not_started`, `programs_forbidden`, ...
        sentence: for people.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Answered(ClientError):
    """The server refused (an RFC 9457 problem).

    Args:
        status: the HTTP status.
        problem: the problem's JSON object; may be empty.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", f"http_{status}"))
        self.detail = str(problem.get("detail") or problem.get("title") or f"HTTP {status}.")
        self.request_id = problem.get("request_id")
        self.fields = {
            str(error.get("field")): str(error.get("message"))
            for error in problem.get("errors", ())
            if isinstance(error, dict)
        }
        super().__init__(self.detail)


class Invalid(Answered):
    """The request cannot be done as it stands; `fields` says what is wrong with it."""


class NotSignedIn(Answered):
    """No token was sent, or one that is not valid."""


class NotAllowed(Answered):
    """The token may not do this."""


class NotFound(Answered):
    """It is not there, or it is another's."""


class Conflict(Answered):
    """What is there does not allow it."""


class Changed(Answered):
    """It has changed since it was read."""


class TooMany(Answered):
    """Too much at once; `retry_after` seconds later it may work."""

    retry_after: float | None = None


class Broken(Answered):
    """The server's own fault, or it cannot work just now."""


_BY_STATUS: dict[int, type[Answered]] = {
    400: Invalid,
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Changed,
    413: Invalid,
    422: Invalid,
    429: TooMany,
}


def error_of(status: int, problem: Mapping[str, Any], headers: Mapping[str, str]) -> Answered:
    """Return the error that stands for an answer."""
    server = 500
    kind = _BY_STATUS.get(status, Broken if status >= server else Answered)
    error = kind(status, problem)
    if isinstance(error, TooMany) and headers.get("retry-after", "").isdigit():
        error.retry_after = float(headers["retry-after"])
    return error
