"""What pages and errors tell people to type is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from porthole_client.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
_TYPED = re.compile(r"\bporthole ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")


def _known() -> tuple[dict[str, set[str]], set[str]]:
    """Return the nouns with their verbs, and the commands that have none."""
    root = get_command(app)
    nouns: dict[str, set[str]] = {}
    plain: set[str] = set()
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        verbs = getattr(command, "commands", None)
        if verbs is None:
            plain.add(name)
        else:
            nouns[name] = set(verbs)
    return nouns, plain


def _texts() -> list[Path]:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    rooms = ("agent", "client", "control_plane", "desktop")
    code = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    return [path for path in (*pages, *code) if "node_modules" not in path.parts]


def test_every_command_that_somebody_is_told_to_type_exists() -> None:
    nouns, plain = _known()
    wrong = []
    for path in _texts():
        # Only what is set as code: in prose, "porthole" may be followed by any word.
        for code in re.findall(
            r"`([^`\n]+)`|^ {4}(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            if path.suffix == ".py" and not code[0]:
                continue
            for noun, verb in _TYPED.findall(code[0] or code[1]):
                known = noun in plain or (noun in nouns and verb in {*nouns[noun], ""})
                if not known:
                    wrong.append(f"{path.relative_to(ROOT)}: porthole {noun} {verb}")
    assert wrong == []


@pytest.mark.parametrize("words", [["--help"], ["session", "create", "--help"], ["up", "--help"]])
def test_help_is_printed(words: list[str]) -> None:
    program = str(Path(sys.executable).parent / "porthole")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: porthole" in done.stdout


def test_ci_calls_the_developers_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == ['cd "$(dirname "$0")/.." && exec ./porthole test']
