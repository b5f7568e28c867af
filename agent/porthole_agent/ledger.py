"""Which commands an agent has, whose turn it is, and what became of them (pure).

The commands of one subject stand in a line, in the order in which they came. One that comes
again while it is in line, or after it was done, is not begun a second time. What was done is
remembered up to a bound, and what is forgotten is safe, because the runtime itself refuses an
order that it has had.
"""

from collections import OrderedDict, deque
from enum import Enum
from uuid import UUID

from porthole_contract.link.commands import ApplySession, Command
from porthole_contract.link.reports import CommandResult, Outcome

Subject = tuple[str, UUID]

REMEMBERED = 10_000
"""Results."""


class Taken(Enum):
    """What became of a command that came."""

    BEGIN = "begin"  # nobody works on its subject: begin
    WAITS = "waits"  # behind others of its subject
    KNOWN = "known"  # it is in line already
    DONE = "done"  # it was done: its result is to be said again


class Ledger:
    """The commands of one agent; `remembered` is how many results it keeps."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._lines: dict[Subject, deque[Command]] = {}
        self._unfinished: set[UUID] = set()
        self._done: OrderedDict[UUID, CommandResult] = OrderedDict()

    def __len__(self) -> int:
        """Return how many commands are not finished."""
        return len(self._unfinished)

    def take(self, command: Command) -> Taken:
        """Take in a command."""
        if command.id in self._done:
            return Taken.DONE
        if command.id in self._unfinished:
            return Taken.KNOWN
        self._unfinished.add(command.id)
        line = self._lines.get(command.subject)
        if line is not None:
            line.append(command)
            return Taken.WAITS
        self._lines[command.subject] = deque([command])
        return Taken.BEGIN

    def result(self, command: UUID) -> CommandResult:
        """Return what became of a command that is `DONE`."""
        return self._done[command]

    def turn(self, subject: Subject) -> Command | None:
        """Return whose turn it is among the commands of a subject; None: all are done."""
        line = self._lines.get(subject)
        return line[0] if line else None

    def finish(self, subject: Subject, result: CommandResult) -> None:
        """Note the result of the command whose turn it is; the next one's turn has come."""
        line = self._lines[subject]
        command = line.popleft()
        if not line:
            del self._lines[subject]
        self._unfinished.discard(command.id)
        if _is_final(command, result):
            self._done[command.id] = result
            if len(self._done) > self._remembered:
                self._done.popitem(last=False)

    def drop(self, subject: Subject) -> None:
        """Forget what stands in a subject's line: it will come again."""
        self._unfinished.difference_update(command.id for command in self._lines.pop(subject, ()))


def _is_final(command: Command, result: CommandResult) -> bool:
    """Return whether a result stands when the command comes again.

    An end that failed does not: the control plane sends it until it is done.
    """
    return result.outcome is not Outcome.FAILED or isinstance(command.body, ApplySession)
