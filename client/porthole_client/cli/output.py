"""What a command prints: a table for people, JSON for programs, progress on the side.

Results go to standard output; everything else to standard error, so that a pipe gets
results alone.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

Columns = Mapping[str, Callable[[M], object]]
"""Heading -> what stands below it."""

_KIBI = 1024
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


class Form(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago something was, in its largest unit: `3m`; `-` if it never was."""
    if moment is None:
        return "-"
    seconds = int(((now or datetime.now(UTC)) - moment).total_seconds())
    sign, seconds = ("", seconds) if seconds >= 0 else ("in ", -seconds)
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{sign}{seconds // length}{unit}"
    return "now"


def size(amount: int | None) -> str:
    """Return an amount of bytes in a unit that keeps it short: `1.5 GiB`."""
    if amount is None:
        return "-"
    value = float(amount)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < _KIBI or unit == "TiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KIBI
    raise AssertionError("there is a last unit")


def plain(value: object) -> str:
    """Return a value as it stands in a table: one line, nothing that a terminal obeys."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(plain(item) for item in value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "".join(character if character.isprintable() else "?" for character in str(value))


class Output:
    """Prints results in one form.

    Args:
        form: table or JSON.
    """

    def __init__(self, form: Form = Form.TABLE) -> None:
        self.form = form

    def json(self, content: object) -> None:
        """Print JSON, whatever the form."""
        print(json.dumps(content, indent=2, default=str))

    def list(self, items: Sequence[M], columns: Columns[M], empty: str) -> None:
        """Print a list; `empty` is the sentence for none, which is no error."""
        if self.form is Form.JSON:
            self.json({"items": [item.model_dump(mode="json", by_alias=True) for item in items]})
        elif not items:
            self.note(empty)
        else:
            rows = [[plain(cell(item)) for cell in columns.values()] for item in items]
            self.table(list(columns), rows)

    def one(self, item: BaseModel, rows: Mapping[str, object]) -> None:
        """Print one thing: all of it as JSON, or `rows` of name and value."""
        if self.form is Form.JSON:
            self.json(item.model_dump(mode="json", by_alias=True))
            return
        width = max((len(name) for name in rows), default=0)
        for name, value in rows.items():
            print(f"{name:<{width}}  {plain(value)}")

    def done(self, names: Sequence[str], what: str) -> None:
        """Say that something was done to what is named."""
        if self.form is Form.JSON:
            self.json({"items": list(names)})
            return
        for name in names:
            print(f"{what}: {plain(name)}")

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table, as wide as the terminal allows and whole in a pipe."""
        from porthole_client.cli import terminal  # noqa: PLC0415 - programs do without it

        terminal.table(headings, rows)

    def note(self, sentence: str) -> None:
        """Say something on the side."""
        print(sentence, file=sys.stderr, flush=True)

    @contextmanager
    def waiting(self, for_what: str) -> Iterator[Callable[[str], None]]:
        """Show that something is waited for; call what is yielded with each news of it.

        A terminal gets a line that changes, a log a line for each news.
        """
        if not sys.stderr.isatty():
            last = ""

            def tell(news: str) -> None:
                nonlocal last
                if news != last:
                    self.note(f"{for_what}: {news}")
                last = news

            yield tell
            return
        from porthole_client.cli import terminal  # noqa: PLC0415 - programs do without it

        with terminal.changing_line(for_what) as change:
            yield lambda news: change(plain(news))
