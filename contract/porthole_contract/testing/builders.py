"""Valid objects and messages: `an_apply()` is one, `an_apply(order=3)` differs where it says.

Every builder takes the fields of what it builds, by their Python names. Ids are numbers in
disguise (`an_id(7)`), so that a failing test shows which one it was.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import (
    ApplySession,
    Command,
    DeleteHome,
    DeleteSession,
    OpenStream,
)
from porthole_contract.link.reports import (
    AgentObserved,
    Capacity,
    CommandResult,
    HomeObserved,
    InventoryPart,
    Outcome,
    SessionObserved,
)
from porthole_contract.session import ResourceList, SessionSpec, SessionStatus, TemplateRef
from porthole_contract.template import PinnedTemplate, SessionTemplate, SessionTemplateSpec

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
"""The moment at which everything in tests happens."""


def an_id(number: int) -> UUID:
    """Return a UUID of version 7 that ends in `number`."""
    return UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + number)


def a_session_spec(**fields: Any) -> SessionSpec:
    """Return what a session of `ada` from the template `desktop` should be."""
    return SessionSpec(**{"owner": "ada", "template": TemplateRef(name="desktop"), **fields})


def a_template_spec(**fields: Any) -> SessionTemplateSpec:
    """Return what a plain desktop is made from."""
    return SessionTemplateSpec(**{"title": "Desktop", "packages": ("openbox",), **fields})


def a_template(name: str = "desktop", **fields: Any) -> SessionTemplate:
    """Return the template `desktop`; `fields` are those of its spec."""
    return SessionTemplate(name=name, spec=a_template_spec(**fields))


def a_pin(name: str = "desktop", revision: int = 1, **fields: Any) -> PinnedTemplate:
    """Return a revision, whole; `fields` are those of its spec."""
    spec = a_template_spec(**fields)
    return PinnedTemplate(name=name, revision=revision, digest=spec.digest(), spec=spec)


def an_apply(session: int = 1, order: int = 1, **fields: Any) -> ApplySession:
    """Return the wish that the session with that number be what its spec says."""
    return ApplySession(
        **{
            "session": an_id(session),
            "order": order,
            "name": f"desktop-{session}",
            "owner": "ada",
            "spec": a_session_spec(),
            "template": a_pin(),
            **fields,
        }
    )


def a_delete(session: int = 1, order: int = 2) -> DeleteSession:
    """Return the wish that the session with that number be gone."""
    return DeleteSession(session=an_id(session), order=order)


def a_command(
    number: int = 1,
    body: ApplySession | DeleteSession | DeleteHome | None = None,
    sequence: int = 1,
) -> Command:
    """Return a durable order; without a body it applies session 1."""
    return Command(id=an_id(number), sequence=sequence, body=body or an_apply())


def a_result(number: int = 1, **fields: Any) -> CommandResult:
    """Return the end of the command with that number: it succeeded."""
    return CommandResult(**{"command": an_id(number), "outcome": Outcome.SUCCEEDED, **fields})


def a_status(phase: Phase = Phase.RUNNING, **fields: Any) -> SessionStatus:
    """Return the status of a session in that phase, under order 1."""
    return SessionStatus(**{"phase": phase, "order": 1, "started_at": NOON, **fields})


def an_observation(
    session: int = 1, phase: Phase = Phase.RUNNING, **fields: Any
) -> SessionObserved:
    """Return a report on the session with that number, as `an_apply` made it."""
    return SessionObserved(
        **{
            "session": an_id(session),
            "name": f"desktop-{session}",
            "owner": "ada",
            "order": 1,
            "spec": a_session_spec(),
            "status": a_status(phase),
            **fields,
        }
    )


def a_home(number: int = 1, **fields: Any) -> HomeObserved:
    """Return a report on the home with that number: 1 GiB of `ada`, held by nobody."""
    return HomeObserved(**{"home": an_id(number), "owner": "ada", "size": 2**30, **fields})


def an_inventory_part(*sessions: SessionObserved, **fields: Any) -> InventoryPart:
    """Return a complete inventory in one part."""
    return InventoryPart(
        **{
            "snapshot": an_id(1),
            "index": 0,
            "last": True,
            "place": an_id(100),
            "sessions": sessions,
            **fields,
        }
    )


def an_agent_report(**fields: Any) -> AgentObserved:
    """Return a report of a local agent on itself: 4 cores and 8 GiB, all free."""
    room = Capacity(sessions=10, sessions_used=0, total=ResourceList(cpu="4", memory="8Gi"))
    return AgentObserved(**{"place": an_id(100), "runtime": "local", "capacity": room, **fields})


def an_open_stream(stream: int = 1, session: int = 1, **fields: Any) -> OpenStream:
    """Return the wish that the agent dial back for a stream of `ada`'s session."""
    return OpenStream(
        **{
            "stream": an_id(stream),
            "session": an_id(session),
            "owner": "ada",
            "protocol": "rfb",
            "channel": "vnc",
            "mode": "control",
            "url": "wss://porthole.example/api/v1/agents/streams",
            "secret": "used-once",
            "expires_at": NOON,
            **fields,
        }
    )
