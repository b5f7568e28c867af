"""What became of a command, in sentences. Pure."""

from dataclasses import dataclass
from datetime import datetime

from porthole_control.commands.repository import Claimed, Command, Finished
from porthole_control.commands.rules import CommandState
from porthole_control.events.repository import Remark

_WHAT = {
    "ApplySession": "make the session as it should be",
    "DeleteSession": "end the session",
    "DeleteHome": "delete the home",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """What happened, and when; None: it is so now."""

    at: datetime | None
    message: str


def whole(command: Command) -> list[Sentence]:
    """Return a command's story as far as its row tells it, in order."""
    number = f", order {command.order_no}" if command.order_no is not None else ""
    what = _WHAT.get(command.kind, command.kind)
    told = [
        Sentence(
            command.created_at,
            f"Queued for the agent {command.agent!r}: {what}{number}. It is number"
            f" {command.sequence} of this {command.subject_kind}.",
        )
    ]
    if command.sent_at is not None:
        times = "" if command.attempts <= 1 else f", for the {_ordinal(command.attempts)} time"
        told.append(
            Sentence(
                command.sent_at,
                f"Sent to the agent {command.agent!r} in epoch {command.epoch}{times}.",
            )
        )
    told.append(_end(command))
    return told


def _end(command: Command) -> Sentence:
    agent, why = repr(command.agent), command.last_error
    done = "is held by its runtime" if command.kind == "ApplySession" else "is done"
    says = {
        CommandState.PENDING: f"It waits for its turn, or for the agent {agent} to link.",
        CommandState.SENT: f"It is on its way to the agent {agent}.",
        CommandState.RECEIVED: f"The agent {agent} has it and has not said how it ended.",
        CommandState.SUCCEEDED: f"The agent {agent} says that it {done}.",
        CommandState.FAILED: f"It has failed: {why or 'nobody said why'}.",
        CommandState.SUPERSEDED: "A newer one took its place, or nobody needs it any more.",
        CommandState.EXPIRED: "Its caller did not want to wait any longer.",
    }
    state = CommandState(command.state)
    if state is CommandState.PENDING and command.attempts:
        because = f": {why}" if why else ", for its last link ended before it was done"
        earliest = f"{command.next_attempt_at:%H:%M:%S} UTC"
        return Sentence(None, f"It waits to be sent again{because}. Not before {earliest}.")
    return Sentence(command.finished_at, says[state])


def _ordinal(number: int) -> str:
    words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
    return words[number - 1] if 1 <= number <= len(words) else f"{number}th"


def sent(claimed: Claimed, agent: str, epoch: int) -> Remark | None:
    """Return what a session's story says of a command that goes out; None: it is no session's."""
    if claimed.subject_kind != "session":
        return None
    again = claimed.attempts > 1
    times = f" again, for the {_ordinal(claimed.attempts)} time," if again else ""
    return Remark(
        claimed.subject_id,
        "Resent" if again else "Sent",
        f"Order {claimed.order_no} was sent{times} to the agent {agent!r} in epoch {epoch}.",
    )


def ended(finished: Finished) -> Remark | None:
    """Return what a session's story says of a command that need not be done any more."""
    if finished.subject_kind != "session":
        return None
    if finished.state == CommandState.EXPIRED:
        sentence = f"Order {finished.order_no} was given up: its caller did not want to wait."
        return Remark(finished.subject_id, "Expired", sentence)
    sentence = f"Order {finished.order_no} was not carried out: a newer one took its place."
    return Remark(finished.subject_id, "Superseded", sentence)
