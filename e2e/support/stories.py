"""The table of failpoint stories: who dies where, and how often.

The control plane and the agent end themselves at named places; everybody is killed when a
session was just asked for, or its end, and while one of the parts stands still at a place.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from e2e.support.life import Story
from porthole_agent import failpoints as agent
from porthole_control import failpoints as control

VICTIMS = ("agent", "control-plane", "postgres", "database", "gate", "supervisor", "up")
SECOND = (
    "commands.claimed",
    "Command.sent",
    "commands.received",
    "CommandResult.written",
    "CommandResult.committed",
    "SessionObserved.written",
    "SessionObserved.committed",
)
"""Places that are passed at the beginning and again later, most of them at the end."""
CONTROL = [(name, 1) for name in control.NAMES] + [(name, 2) for name in SECOND]
LATER = {("commands.received", 2): "sessions.ended"}
"""Where the second life of a control plane ends that need not pass its place again: while it
was away the agent has done what was ordered, and tells of that instead."""
WITH_GATE = (
    *agent.CREATE[agent.CREATE.index("local.create.gate-started") :],
    *agent.DELETE[: agent.DELETE.index("local.delete.gate-stopped")],
)
WITH_SUPERVISOR = (
    *agent.CREATE[agent.CREATE.index("local.create.desktop-started") :],
    *agent.DELETE[: agent.DELETE.index("local.delete.desktop-stopped")],
)
TWICE = {
    "local.create.record-written": ("local.create.record-written", "local.create.begin-recorded"),
    "local.delete.volumes-removed": (
        "local.delete.volumes-removed",
        "local.delete.tombstone-written",
    ),
    "local.delete.home-detached": ("local.delete.home-detached", "local.delete.tombstone-written"),
    "local.delete.record-removed": ("local.delete.journaled", "local.delete.record-removed"),
}
"""Places that no session passes twice: the other death is at the nearest that it does pass."""
AGAIN_WITHOUT = {
    "local.create.gate-started": "gate",
    "local.create.desktop-started": "supervisor",
    "local.create.settled": "supervisor",
    "local.create.drawn-recorded": "supervisor",
    "local.lose.recorded": "supervisor",
}
"""Places that the next agent passes only if it finds this dead, and begins it again."""


@dataclass(frozen=True)
class Row:
    """One story of the table.

    Attributes:
        title: what the story is called.
        part: whose place it is: `control-plane`, `agent`, or "" for a moment of the session.
        place: the failpoint, for the control plane with the pass that is meant.
        victim: who is killed there; if it is not `part`, then `part` stands still meanwhile.
        times: how often.
        story: the whole of it.
    """

    title: str
    part: str
    place: str
    victim: str
    times: int
    story: Story

    @property
    def id(self) -> str:
        """What pytest calls it."""
        return self.title.replace(" ", "-")


SHORT = {
    "control-plane-at-many-places": Story(
        control=(
            "create_session.committed=kill:1",
            "commands.claimed=kill:1",
            "CommandResult.written=kill:1",
            "streams.dialled-back=kill:1",
            "sessions.ended=kill:1",
        ),
        losses=0,
    ),
    "agent-at-many-places": Story(
        agent=(
            "local.create.home-attached=kill:1",
            "local.create.desktop-started=kill:1",
            "local.delete.desktop-stopped=kill:1",
            "local.delete.tombstone-written=kill:1",
        ),
    ),
    "everybody-at-create": Story(
        at_create=("control-plane", "gate", "agent", "database"), running=("supervisor",)
    ),
    "everybody-at-delete": Story(at_delete=("supervisor", "agent", "control-plane", "postgres")),
    "up-at-create-and-delete": Story(at_create=("up",), at_delete=("up",)),
}
"""Those that are always told: many die, one after the other."""


def _control_rows(times: int) -> Iterator[Row]:
    for name, count in CONTROL:
        again = LATER.get((name, count), name)
        lives = (f"{name}=kill:{count}", *([f"{again}=kill:1"] * (times - 1)))
        place, who = f"{name}:{count}", "control-plane"
        looks = times if name == "streams.ending" else 1
        story = Story(control=lives, losses=0, looks=looks)
        yield Row(f"{who} {place} x{times}", who, place, who, times, story)


def _agent_rows(times: int) -> Iterator[Row]:
    for name in agent.LOCAL:
        places = (name,) if times == 1 else TWICE.get(name, (name, name))
        running = ["supervisor"] if name in agent.LOSE else []
        running += [AGAIN_WITHOUT[name]] * (times - 1) if name in AGAIN_WITHOUT else []
        story = Story(agent=tuple(f"{place}=kill:1" for place in places), running=tuple(running))
        yield Row(f"agent {name} x{times}", "agent", name, "agent", times, story)


def _moments(times: int) -> Iterator[Row]:
    for who in VICTIMS:
        killed = (who,) * times
        create, delete = Story(at_create=killed), Story(at_delete=killed)
        yield Row(f"{who} at create x{times}", "", "create", who, times, create)
        yield Row(f"{who} at delete x{times}", "", "delete", who, times, delete)


def _still() -> Iterator[Row]:
    """Yield the stories in which a part stands still while somebody else is killed."""
    for name, count in CONTROL:
        for who in ("agent", "database", "up"):
            part, place = "control-plane", f"{name}:{count}"
            story = Story(control=(f"{name}=stop:{count}",), at_stop=(who,))
            yield Row(f"{who} while {part} is at {place}", part, place, who, 1, story)
    for name in (*agent.CREATE, *agent.DELETE):
        victims = ["control-plane", "up"]
        victims += ["gate"] if name in WITH_GATE else []
        victims += ["supervisor"] if name in WITH_SUPERVISOR else []
        for who in victims:
            story = Story(agent=(f"{name}=stop:1",), at_stop=(who,))
            yield Row(f"{who} while agent is at {name}", "agent", name, who, 1, story)


def table() -> list[Row]:
    """Return every story that kills one victim at one place."""
    makers = (_control_rows, _agent_rows, _moments)
    killed = [row for make in makers for times in (1, 2) for row in make(times)]
    return [*killed, *_still()]
