"""What pages say that one types, taken from them word for word and typed."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from e2e.support.instance import Program
from e2e.support.real_cluster import PORTHOLE

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^(?: {4}.*)?\n)*^ {4}.*\n", re.MULTILINE)
_IN_NOTES = re.compile(r"(?:^(?: {2}.*)?\n)*^ {2}.*\n", re.MULTILINE)


def section(page: str, title: str) -> str:
    """Return a section of a page in Markdown, without its title."""
    _, found, rest = page.partition(f"\n## {title}\n")
    assert found, f"there is no section {title!r}"
    return rest.partition("\n## ")[0] + "\n"


def commands(text: str) -> list[str]:
    """Return the indented blocks of a text in Markdown, as somebody copies them."""
    blocks = _INDENTED.findall(_FENCE.sub("", text))
    return ["\n".join(line[4:] for line in block.strip("\n").split("\n")) for block in blocks]


def fenced(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return [one["text"] for one in _FENCE.finditer(text) if one["language"] == language]


def in_notes(said: str) -> list[str]:
    """Return the commands in what helm printed, indented as they are in a terminal."""
    _, _, notes = said.partition("NOTES:\n")
    return [block.strip("\n") for block in _IN_NOTES.findall(notes + "\n")]


class Terminal:
    """A shell in a folder.

    Args:
        folder: where it is.
        environment: of the cluster that is meant.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        path = f"{PORTHOLE.parent}:{environment.get('PATH', os.environ['PATH'])}"
        # Without a screen, links are printed and not opened.
        self._environment = {**environment, "PATH": path, "DISPLAY": "", "WAYLAND_DISPLAY": ""}

    def type(self, lines: str, patience: float = 300) -> str:
        """Type lines, each of which must succeed, and return what was printed."""
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", lines],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
        return done.stdout

    def leave_running(self, lines: str) -> Program:
        """Type lines of which the last goes on until Ctrl-C."""
        shell = ("env", "-C", str(self._folder), "bash", "-e", "-c")
        return Program(lines, environment=self._environment, program=shell)
