"""`--help`, as somebody reads it who does not know the program."""

from typing import Any

from typer.main import get_command

from porthole_client.cli.app import app

ROOM = 80 - 2 - 6
"""Of a terminal of 80 columns, what the margins and the gap leave to a line of the list."""


def cut(group: Any, name: str) -> list[str]:
    """Return the commands whose line in a list ends in the middle."""
    commands = getattr(group, "commands", {})
    room = ROOM - max((len(word) for word in commands), default=0)
    found: list[str] = []
    for word, command in commands.items():
        if command.get_short_help_str(room).endswith("..."):
            found.append(f"{name} {word}")
        found.extend(cut(command, f"{name} {word}"))
    return found


def test_no_command_s_line_is_cut() -> None:
    assert get_command(app).get_short_help_str(ROOM)
    assert cut(get_command(app), "porthole") == []
