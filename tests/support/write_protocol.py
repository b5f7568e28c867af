"""Writes what the code knows into the protocol's page: `python -m tests.support.write_protocol`.

Such a part of `docs/protocol.md` stands between two comments, the first of which names it. The
words of the tables are the docstrings of the contract's models and of what they are made of.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import fill

from porthole_contract.link import channel, codec, version
from porthole_contract.link.frames import Goodbye
from porthole_control.link import conversation, endpoint, hub, rules
from tests.model.invariants import SENTENCES
from tests.support import protocol_tables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
_PART = re.compile(
    r"(<!-- made by `python -m tests\.support\.write_protocol`: (\w+) -->\n).*?(<!-- end -->)",
    re.DOTALL,
)


def fresh(page: str) -> str:
    """Return the page with its parts as they should be."""
    return _PART.sub(lambda part: f"{part[1]}\n{_PARTS[part[2]]()}\n{part[3]}", page)


def parts(page: str) -> list[str]:
    """Return which parts a page has."""
    return [part[2] for part in _PART.finditer(page)]


def _sentences() -> str:
    return "".join(_entry(f"**{one.name}**: {one.sentence}") for one in SENTENCES)


def _entry(text: str) -> str:
    return fill(text, 98, initial_indent="* ", subsequent_indent="  ") + "\n"


def _versions() -> str:
    """Return the diary of the version's module."""
    diary = inspect.cleandoc(version.__doc__ or "").partition("Diary:\n")[2]
    entries = re.findall(r"(\d+\.\d+)  (.+?)(?=\n *\d+\.\d+  |\Z)", diary, re.DOTALL)
    rows = (f"| {number} | {' '.join(text.split())} |" for number, text in entries)
    return "\n".join(("| version | brought |", "|---|---|", *rows)) + "\n"


def _numbers() -> str:
    known = (
        (f"{codec.LONGEST_FRAME // 2**20} MiB", "the longest frame, in UTF-8"),
        ("256", "the most items in a frame that may be heard"),
        (str(channel.BATCH), "the most items in a frame that these programs say"),
        (str(channel.WINDOW), "how many items may be under way at first, and after each `Ack`"),
        (f"{channel.PING_EVERY:.0f} s", "from one `Ping` to the next"),
        (f"{channel.DEAD_AFTER:.0f} s", "of silence: the other side is dead"),
        (f"{endpoint.GREETING_SECONDS:.0f} s", "for the greeting"),
        (f"{hub.REMEMBERED_SECONDS:.0f} s", "that a control plane remembers a conversation"),
        (str(conversation.UNFINISHED), "commands that an agent may have unfinished"),
    )
    rows = (f"| {number} | {what} |" for number, what in known)
    return "\n".join(("| number | what of |", "|---|---|", *rows)) + "\n"


def _goodbyes() -> str:
    """Return the goodbyes that a control plane says."""
    said = (
        *(rules.SUPERSEDED, rules.REVOKED, rules.UNHEARD, rules.GOING_AWAY, hub.NOT_YOUR_TURN),
        *(endpoint.TOO_MANY, endpoint.UNAVAILABLE),
        Goodbye(code="unproven", message="The signature is not the enrolled key's."),
        Goodbye(code="too_old", message="The majors differ.", retry_after=60),
        Goodbye(code="too_slow", message="The greeting took too long.", retry_after=5),
        Goodbye(
            code="remote_protocol_error",
            message="Something was said that may not be said.",
            retry_after=5,
        ),
        Goodbye(code="another_place", message="The agent speaks for another place than before."),
    )
    rows = (f"| `{one.code}` | {one.message} | {_seconds(one.retry_after)} |" for one in said)
    return "\n".join(("| code | why | dial again after |", "|---|---|---|", *rows)) + "\n"


def _seconds(number: float | None) -> str:
    return "never" if number is None else f"{number:g} s"


_PARTS: Mapping[str, Callable[[], str]] = {
    "sentences": _sentences,
    "versions": _versions,
    "numbers": _numbers,
    "goodbyes": _goodbyes,
    "frames": protocol_tables.frames,
    "items": protocol_tables.items,
    "nested": protocol_tables.nested,
}
NAMES = frozenset(_PARTS)


if __name__ == "__main__":
    PAGE.write_text(fresh(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
