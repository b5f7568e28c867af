"""Lists, page after page."""

from typing import TypeVar

from porthole_client.models import Page, View
from porthole_client.steps import Send, Steps, call

V = TypeVar("V", bound=View)

PAGE = 200  # items of one page, the most that the API gives


def everything(
    path: str, kind: type[V], query: dict[str, str] | None = None, *, most: int | None = None
) -> Steps[list[V]]:
    """Return the items of a list, all pages of it or the first `most` items."""
    found: list[V] = []
    cursor: str | None = None
    while True:
        wanted = {**(query or {}), "limit": str(min(PAGE, most or PAGE))}
        if cursor is not None:
            wanted["cursor"] = cursor
        answer = yield from call(Send("GET", path, query=wanted))
        page = Page[kind].model_validate_json(answer.body)  # type: ignore[valid-type]
        found += page.items
        cursor = page.next
        if cursor is None or (most is not None and len(found) >= most):
            return found[:most]
