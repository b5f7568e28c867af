"""Sessions: create, look, wait, change, end, and tickets to look at them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from porthole_client.errors import NotFound, SessionEnded, TimedOut
from porthole_client.models import Session, SessionEvent, Ticket
from porthole_client.nouns.lists import everything
from porthole_client.steps import Send, Steps, call, keyed, pause
from porthole_contract.lifecycle import Phase

PATH = "/api/v1/sessions"
MERGE = {"Content-Type": "application/merge-patch+json"}
_BETWEEN_LOOKS = 0.25  # seconds
_OVER = frozenset({Phase.FAILED, Phase.TERMINATING, Phase.TERMINATED})


def create(
    template: str,
    *,
    name: str | None = None,
    agent: str | None = None,
    idempotency_key: str | None = None,
    **spec: Any,
) -> Steps[Session]:
    """Ask for a session; it is accepted at once and becomes ready later.

    Args:
        template: what it is made from, by its name, or one of its revisions: `desktop@3`.
        name: what to call it; None has one made.
        agent: where it must run; None leaves that open.
        idempotency_key: the same key asks for the same session again, not for another one.
        spec: any field of a session's spec, e.g. `home="work"`, `display={"width": 1600}`.
    """
    body = {"template": template, "name": name, "agent": agent, **spec}
    answer = yield from call(
        Send(
            "POST",
            PATH,
            body={key: value for key, value in body.items() if value is not None},
            headers=keyed(idempotency_key),
        )
    )
    return Session.model_validate_json(answer.body)


def list_(*, ended: bool = False, most: int | None = None) -> Steps[list[Session]]:
    """Return the sessions, newest first; `ended` adds those that are over."""
    query = {"ended": "true"} if ended else {}
    return (yield from everything(PATH, Session, query, most=most))


def get(session: UUID | str) -> Steps[Session]:
    """Return one session by its id."""
    answer = yield from call(Send("GET", f"{PATH}/{session}"))
    return Session.model_validate_json(answer.body)


def change(session: UUID | str, **fields: Any) -> Steps[Session]:
    """Change what a session should be: `desired`, `display`, `labels`, `idle`, `lifetime`."""
    send = Send("PATCH", f"{PATH}/{session}", body=fields, headers=MERGE | keyed())
    answer = yield from call(send)
    return Session.model_validate_json(answer.body)


def hibernate(session: UUID | str) -> Steps[Session]:
    """Have a session stopped; its home is kept."""
    return (yield from change(session, desired="Hibernated"))


def wake(session: UUID | str) -> Steps[Session]:
    """Have a hibernated session started again on its home."""
    return (yield from change(session, desired="Running"))


def delete(session: UUID | str) -> Steps[None]:
    """Have a session ended. It is no error if it already is."""
    try:
        yield from call(Send("DELETE", f"{PATH}/{session}"))
    except NotFound:
        return


def wait_phase(
    session: UUID | str,
    phase: Phase,
    *,
    timeout: float = 180.0,
    seen: Callable[[Session], object] | None = None,
) -> Steps[Session]:
    """Wait until a session is in `phase`, and return it.

    Args:
        session: its id.
        phase: what to wait for.
        timeout: seconds to wait at the most.
        seen: called with the session each time it is looked at.

    Raises:
        SessionEnded: it failed or ended, so it never will be.
        TimedOut: it is not there yet.
    """
    until = (yield from pause(0)) + timeout
    while True:
        found = yield from get(session)
        if seen is not None:
            seen(found)
        if found.phase is phase:
            return found
        why = f" {found.message}" if found.message else ""
        if found.phase in _OVER and phase not in _OVER:
            raise SessionEnded(f"The session {found.name} is {found.phase}.{why}", found)
        if (yield from pause(_BETWEEN_LOOKS)) > until:
            raise TimedOut(
                f"The session {found.name} is still {found.phase} after {timeout:g} s.{why}"
            )


def wait_ready(
    session: UUID | str,
    *,
    timeout: float = 180.0,
    seen: Callable[[Session], object] | None = None,
) -> Steps[Session]:
    """Wait until a session can be looked at, and return it; see `wait_phase`."""
    return (yield from wait_phase(session, Phase.RUNNING, timeout=timeout, seen=seen))


def wait_gone(session: UUID | str, *, timeout: float = 60.0) -> Steps[None]:
    """Wait until nothing of a session is left but its home.

    Raises:
        TimedOut: something still is.
    """
    until = (yield from pause(0)) + timeout
    while True:
        try:
            seen = yield from get(session)
        except NotFound:
            return
        if seen.phase is Phase.TERMINATED:
            return
        if (yield from pause(_BETWEEN_LOOKS)) > until:
            raise TimedOut(f"The session {seen.name} is still {seen.phase} after {timeout:g} s.")


def ticket(
    session: UUID | str,
    *,
    mode: str = "control",
    channel: str | None = None,
    protocol: str | None = None,
    replaces: UUID | str | None = None,
) -> Steps[Ticket]:
    """Return the right to open one stream of a session, once and soon.

    Args:
        session: its id.
        mode: `control`, or `view` to look only.
        channel: what to open; None is the desktop's picture in its protocol.
        protocol: what is spoken on it; None is what is usual there.
        replaces: the `stream` of an earlier ticket of the same token: it is ended, and what it
            held is let go of, before this one reaches the desktop.
    """
    asked = {
        "mode": mode,
        "channel": channel,
        "protocol": protocol,
        "replaces": None if replaces is None else str(replaces),
    }
    body = {name: value for name, value in asked.items() if value is not None}
    answer = yield from call(Send("POST", f"{PATH}/{session}/tickets", body=body))
    return Ticket.model_validate_json(answer.body)


def events(session: UUID | str) -> Steps[list[SessionEvent]]:
    """Return what happened to a session, oldest first."""
    return (yield from everything(f"{PATH}/{session}/events", SessionEvent))


def logs(session: UUID | str) -> Steps[str]:
    """Return the newest of what a session's programs have said, at most 1 MiB of text."""
    answer = yield from call(Send("GET", f"{PATH}/{session}/logs"))
    return answer.body.decode(errors="replace")
