"""Conversations with the API, without doing any I/O.

An operation is a generator: it yields what it wants done (`Send` a request, `Sleep`) and
is given what came of it. `drivers` runs the same generators for `Porthole` and for
`AsyncPorthole`, so that the two cannot differ.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from porthole_client.errors import ClientError, Unreachable, error_of

T = TypeVar("T")

RETRIED = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may succeed a moment later."""
_NOT_DONE = frozenset({429, 503})
"""Of these, those that say that nothing was done."""

_REFUSED = 400
LONGEST_RETRY_AFTER = 30.0  # seconds of a server's wish that are honoured


@dataclass(frozen=True)
class Send:
    """One request. `path` is below the server's address, `body` is JSON unless None, text or bytes.

    `once`: sent again only if it was certainly not done. `timeout`: seconds that it may take,
    if that is not as usual.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    timeout: float | None = None


@dataclass(frozen=True)
class Sleep:
    """Wait; the answer to it is the time on a clock that only goes forward, in seconds."""

    seconds: float


@dataclass(frozen=True)
class Answer:
    """What the server said. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, None if it is empty."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Unanswered:
    """Nothing came back: the connection could not be made, or broke."""

    why: str


Outcome = Answer | Unanswered | float
Steps = Generator[Send | Sleep, Outcome, T]
"""An operation whose result is a `T`."""


@dataclass(frozen=True)
class Retry:
    """How often a request is sent again, and how long to wait before: doubling from `first`."""

    times: int = 4
    first: float = 0.2
    longest: float = 3.0

    def pause(self, attempt: int, answer: Answer | None) -> float | None:
        """Return the seconds to wait before attempt `attempt` + 1; None to give up."""
        if attempt > self.times:
            return None
        asked = (answer.headers.get("retry-after") or "") if answer else ""
        if asked.isdigit():
            return min(float(asked), LONGEST_RETRY_AFTER)
        return min(self.first * float(2 ** (attempt - 1)), self.longest)


def pause(seconds: float) -> Steps[float]:
    """Wait, and return the time after it."""
    now = yield Sleep(seconds)
    assert isinstance(now, float)
    return now


def call(request: Send) -> Steps[Answer]:
    """Send a request and return its answer, which is none of a refusal."""
    answer = yield request
    assert isinstance(answer, Answer)
    return answer


def keyed(key: str | None = None) -> dict[str, str]:
    """Return the header by which a request is done once, however often and late it arrives.

    A change that says what should be needs it, too: what was thought lost may come after the
    change that followed it, and would undo that.
    """
    return {"Idempotency-Key": key or str(uuid4())}


def persist(steps: Steps[T], retry: Retry) -> Steps[T]:
    """Do `steps` with every request sent again as `retry` says.

    Any request of ours may be repeated: those that make or change something carry an
    Idempotency-Key (`keyed`), and those that may not say `once`. A request that fails for good
    raises inside `steps`.
    """
    try:
        wish = next(steps)
        while True:
            if isinstance(wish, Sleep):
                wish = steps.send((yield wish))
                continue
            try:
                answer = yield from _ask(wish, retry)
            except ClientError as error:
                wish = steps.throw(error)
            else:
                wish = steps.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _ask(request: Send, retry: Retry) -> Steps[Answer]:
    attempt = 0
    while True:
        attempt += 1
        outcome = yield request
        assert isinstance(outcome, Answer | Unanswered)
        again = _NOT_DONE if request.once else RETRIED
        if isinstance(outcome, Answer) and outcome.status not in again:
            break
        if isinstance(outcome, Unanswered) and request.once:
            break
        wait = retry.pause(attempt, outcome if isinstance(outcome, Answer) else None)
        if wait is None:
            break
        yield from pause(wait)
    if isinstance(outcome, Unanswered):
        raise Unreachable(outcome.why)
    if outcome.status >= _REFUSED:
        raise error_of(outcome.status, _object(outcome), outcome.headers)
    return outcome


def _object(answer: Answer) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
