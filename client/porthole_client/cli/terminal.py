"""Tables and changing lines, by rich; imported only where somebody looks at them."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_IN_A_PIPE = 1000  # columns: nothing is folded where a program reads


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to standard output."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() else _IN_A_PIPE
    Console(width=width, highlight=False).print(made)


@contextmanager
def changing_line(for_what: str) -> Iterator[Callable[[str], None]]:
    """Show a line on standard error that changes with each call of what is yielded."""
    with Console(stderr=True).status(escape(for_what)) as status:
        yield lambda news: status.update(f"{escape(for_what)}: {escape(news)}")
