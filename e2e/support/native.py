"""`porthole session connect`: a door on this machine for RDP and VNC programs."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from e2e.support.instance import Instance, Program, until
from e2e.support.outside import Desktop

PASSWORD = re.compile(r"password +([a-z2-9]{8})$", re.MULTILINE)


class Door:
    """`porthole session connect`, and what it has shown."""

    def __init__(self, program: Program) -> None:
        self.program = program
        program.until_said(re.compile("Ctrl-C here"))
        self.address = self._shown("address")

    @property
    def passwords(self) -> list[str]:
        """All that were shown, the newest last."""
        return PASSWORD.findall(self.program.said)

    @property
    def certificate(self) -> str:
        """Its fingerprint, as FreeRDP wants it."""
        shown = self._shown("fingerprint")
        return ":".join(shown[at : at + 2] for at in range(0, len(shown), 2))

    def until_said(self, words: str, times: int = 1) -> None:
        """Wait until it has said something so often."""

        def look() -> bool:
            return self.program.said.count(words) >= times

        until(look, 20, lambda: f"{words!r} in\n{self.program.said}")

    def _shown(self, name: str) -> str:
        found = re.search(rf"^ +{name} +(\S+)$", self.program.said, re.MULTILINE)
        assert found, self.program.said
        return found[1]


@contextmanager
def a_session(instance: Instance, template: str) -> Iterator[tuple[str, Desktop]]:
    """Have a session; yield its name and its desktop."""
    name = f"native-{template}"
    words = ("session", "create", template, "--name", name, "--wait", "--output", "json")
    made = json.loads(instance.porthole(*words))
    try:
        yield name, Desktop.of(made["id"])
    finally:
        instance.porthole("session", "delete", name, "--wait")


@contextmanager
def a_door(instance: Instance, *words: str) -> Iterator[Door]:
    """Have a door; it is closed by Ctrl-C."""
    program = Program("session", "connect", *words, "--home", str(instance.home))
    try:
        yield Door(program)
    finally:
        assert program.interrupt() == 0, program.said
