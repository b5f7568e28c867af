"""A trace as sentences that a person can follow, each with what has changed in the database."""

from collections.abc import Iterator
from typing import Any

from porthole_contract.link.frames import Ack, AgentData, ControlData, Goodbye, Ping, Welcome
from tests.model.explore import Explored, replay
from tests.model.parts import number_of
from tests.model.wiring import RIGHT, Wiring
from tests.model.world import FAULTS, Step, World

_TOLD = {
    "create": "Somebody asks for session {1}.",
    "change": "Somebody changes session {1}.",
    "delete": "Somebody ends session {1}.",
    "dials": "{agent} dials control plane {other}.",
    "welcome": "Control plane {control} judges the greeting.",
    "dispatch": "Control plane {control} claims {commands} and sends it.",
    "deal": "Control plane {control} writes down the results that it heard.",
    "forgotten": "Control plane {control} finds commands marked as sent that it never sent.",
    "superseded": "Control plane {control} sees that its link was replaced, and says so.",
    "ended_again": "An inventory at control plane {control} has session {2}, which has ended.",
    "nothing_to_send": "Control plane {control} looks for commands and finds none.",
    "pause_over": "The pause before the next attempt is over.",
    "looks": "{agent} looks at session {2}.",
    "apply_make": "{agent} makes session {2}, order {3}.",
    "apply_change": "{agent} holds session {2} to order {3}.",
    "apply_nothing": "{agent} has no use for order {3} of session {2}.",
    "buries": "{agent} notes that session {2} was ended by order {3}.",
    "ends": "{agent} has nothing of session {2} left.",
    "undone": "{agent} undoes session {2}, which came after its end.",
    "leaves": "{agent}, which does not hold the lease, ends.",
    "agent_hears": "{agent} hears {what}.",
    "agent_notices": "{agent} notices that the connection is gone.",
    "greeting_late": "{agent} gets no answer to its greeting.",
    "replica_hears": "Control plane {control} hears {what}.",
    "replica_notices": "Control plane {control} notices that the connection is gone.",
    "ping_down": "Control plane {control_of} pings.",
    "ping_up": "{agent} pings.",
    "cut": "The connection of {agent} with control plane {other} breaks.",
    "frame_lost_down": "{what_lost} is lost on its way to {agent}.",
    "frame_lost_up": "{what_lost} is lost on its way to control plane {other}.",
    "frame_doubled_down": "{what_lost} comes twice to {agent}.",
    "frame_doubled_up": "{what_lost} comes twice to control plane {other}.",
    "agent_killed": "{agent} is killed, and started again.",
    "replica_killed": "Control plane {control} is killed, and started again.",
    "lease_moved": "The lease goes to agent 2, which is started; agent 1 does not know.",
    "refused": "{agent} cannot do command {2} just now.",
    "claim_unanswered": "Control plane {control} claims {commands}; the answer is lost.",
    "deal_unanswered": "Control plane {control} writes down results; the answer is lost.",
    "link_unanswered": "Control plane {control} notes the new link; the answer is lost.",
    "bell_lost": "Somebody wants to {1} session {2}; the doorbell is lost.",
}


def told(explored: Explored, wiring: Wiring = RIGHT) -> str:
    """Return the story of a violation, a step a line."""
    assert explored.violation is not None
    lines = [f"Broken: {explored.violation.sentence}", ""]
    for number, line in enumerate(_lines(explored, wiring), 1):
        lines.append(f"{number:3}. {line}")
    return "\n".join(lines)


def _lines(explored: Explored, wiring: Wiring) -> Iterator[str]:
    before = World(explored.story, wiring)
    for step, after in replay(explored.story, wiring, explored.trace):
        fault = "FAULT: " if step[0] in FAULTS else ""
        yield f"{fault}{_sentence(step)}{_changes(before, after)}"
        before = after


def _sentence(step: Step) -> str:
    name, *rest = step
    numbers: list[Any] = [*rest, None, None, None]
    hers, other = numbers[0], numbers[1]
    control = other if name in {"welcome", "link_unanswered"} else hers
    return _TOLD[name].format(
        *step,
        agent=f"Agent {(hers or 0) + 1}" if isinstance(hers, int) else "",
        control="AB"[control] if isinstance(control, int) and control < 2 else "",
        control_of="AB"[other] if isinstance(other, int) and other < 2 else "",
        other="AB"[other] if isinstance(other, int) and other < 2 else "",
        commands=" and ".join(f"command {one}" for one in rest[1:] if isinstance(one, int)),
        what=_frame(numbers[1]),
        what_lost=_frame(numbers[2])[:1].upper() + _frame(numbers[2])[1:],
    )


def _frame(frame: Any) -> str:
    match frame:
        case ControlData(items=items):
            said = ", ".join(
                f"command {number_of(one.id)} ({one.body.type}, order {one.body.order})"
                for one in items
            )
        case AgentData(items=items):
            said = ", ".join(
                f"that command {number_of(one.command)} has {one.outcome}" for one in items
            )
        case Ack():
            said = f"an acknowledgement up to {frame.upto}"
        case Welcome():
            said = f"a welcome in epoch {frame.epoch}{', resumed' if frame.resumed else ''}"
        case Goodbye():
            said = f"goodbye ({frame.code})"
        case Ping():
            said = f"a ping after item {frame.said}"
        case _:
            said = ""
    return said


def _changes(before: World, after: World) -> str:
    """Return what has changed where it lasts."""
    words = []
    if after.db.epoch != before.db.epoch:
        words.append(f"epoch {after.db.epoch}")
    olds = {row.id: row.state for row in before.db.rows}
    words += [
        f"command {row.id} {row.state}" for row in after.db.rows if olds.get(row.id) != row.state
    ]
    phases = dict(before.db.sessions)
    words += [
        f"session {subject} {session.phase}"
        for subject, session in after.db.sessions
        if subject not in phases or phases[subject].phase != session.phase
    ]
    return f" [{', '.join(words)}]" if words else ""
