"""Draws `docs/lifecycle.md` from the table: `python -m tests.support.draw_lifecycle`.

The words are the comments beside the members of the contract's enums, so that whoever
changes one finds the other under the same hand.
"""

import inspect
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

from porthole_contract.conditions import Reason
from porthole_contract.lifecycle import (
    DEADLINES,
    LIVE,
    OCCUPIED,
    TRANSITIONS,
    Event,
    Phase,
    advance,
)
from porthole_contract.quantities import format_duration

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lifecycle.md"
_MEMBER = re.compile(r'^    [A-Z_]+ = "(\w+)"  # (.+)$', re.MULTILINE)


def meanings(enum: type[StrEnum]) -> dict[str, str]:
    """Return what stands beside each member in the source, by the member's value.

    Raises:
        ValueError: a member has no comment.
    """
    found = dict(_MEMBER.findall(inspect.getsource(enum)))
    missing = {member.value for member in enum} - found.keys()
    if missing:
        raise ValueError(f"Nothing says what these members of {enum.__name__} mean: {missing}")
    return {value: text[0].upper() + text[1:] + "." for value, text in found.items()}


def page() -> str:
    """Return the whole page."""
    return "\n".join(
        (
            "# A session's life",
            "",
            "Drawn from `contract/porthole_contract/lifecycle.py`; change that, not this page, and",
            "draw it anew with `python -m tests.support.draw_lifecycle`.",
            "",
            "```mermaid",
            *_diagram(),
            "```",
            "",
            "What is not drawn cannot happen. Besides, whatever is alive may be ended (`End`),",
            "and a session of which nothing is left (`Gone`) has ended, however that came.",
            "",
            "## Phases",
            "",
            "A passing phase has a deadline, which counts from when its effect has begun, and",
            "leads on when it passes. Room: whether the session counts against CPU and memory.",
            "",
            *_table(("Phase", "Meaning", "Deadline", "Then", "Room"), _phases()),
            "",
            "## Events",
            "",
            *_table(("Event", "Meaning"), meanings(Event).items()),
            "",
            "## Reasons",
            "",
            "Beside its phase a session has a reason, for programs, and a sentence, for people.",
            "",
            *_table(("Reason", "Meaning"), meanings(Reason).items()),
            "",
        )
    )


def _diagram() -> list[str]:
    lines = ["stateDiagram-v2", "    [*] --> Pending"]
    for phase, row in TRANSITIONS.items():
        for after in dict.fromkeys(row.values()):
            events = [event.value for event, to in row.items() if to is after]
            lines.append(f"    {phase} --> {after}: {', '.join(events)}")
    lines += [
        '    state "whatever is alive" as Alive',
        f"    Alive --> {Phase.TERMINATING}: {Event.END}",
        f"    {Phase.TERMINATED} --> [*]",
    ]
    return lines


def _phases() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    words = meanings(Phase)
    for phase in Phase:
        if phase in DEADLINES:
            after = advance(phase, Event.DEADLINE)
            deadline = format_duration(DEADLINES[phase])
            then = str(after) if after is not phase else "the same, harder"
        else:
            deadline, then = ("may last" if phase in LIVE else "for ever"), ""
        rows.append((phase.value, words[phase], deadline, then, "yes" * (phase in OCCUPIED)))
    return rows


def _table(head: tuple[str, ...], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
        *(f"| {' | '.join((f'`{row[0]}`', *row[1:]))} |" for row in rows),
    ]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
