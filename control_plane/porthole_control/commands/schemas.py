"""What the API says about commands."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from porthole_control.commands.repository import Command
from porthole_control.commands.rules import CommandState


class CommandOut(BaseModel):
    """A command, as it is in the queue."""

    id: UUID
    agent: str
    agent_id: UUID
    subject_kind: Literal["session", "template", "home"]
    subject_id: UUID
    sequence: int = Field(description="Its place among the commands of its subject.")
    order: int | None
    kind: str
    state: CommandState
    attempts: int
    next_attempt_at: datetime
    deadline: datetime | None
    epoch: int | None = Field(description="The link that it was sent on.")
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, command: Command) -> "CommandOut":
        """Return what the API says of this row."""
        return cls(
            id=command.id,
            agent=command.agent,
            agent_id=command.agent_id,
            subject_kind=command.subject_kind,
            subject_id=command.subject_id,
            sequence=command.sequence,
            order=command.order_no,
            kind=command.kind,
            state=CommandState(command.state),
            attempts=command.attempts,
            next_attempt_at=command.next_attempt_at,
            deadline=command.deadline,
            epoch=command.epoch,
            last_error=command.last_error,
            created_at=command.created_at,
            sent_at=command.sent_at,
            finished_at=command.finished_at,
        )


class CommandSentence(BaseModel):
    """What happened to a command."""

    at: datetime | None = Field(description="When; null: it is so now.")
    message: str


class CommandWhole(CommandOut):
    """A command with what it carries, and what became of it."""

    payload: dict[str, Any]
    story: list[CommandSentence] = Field(description="What happened to it, in order.")
