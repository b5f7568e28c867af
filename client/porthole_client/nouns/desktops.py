"""Desktops for programs: what a session shows, and its keys, pointer and clipboard.

Coordinates are pixels of the screen, from its upper left corner. Keys are characters or
names, several held together joined by `+`: `a`, `Return`, `ctrl+shift+t`.
"""

from typing import Any
from uuid import UUID

from porthole_client.errors import Conflict, TimedOut
from porthole_client.models import InputDone
from porthole_client.nouns.sessions import PATH
from porthole_client.steps import Send, Steps, call

Place = tuple[int, int]
NO_WINDOW = "no_window"
_PATIENCE = 45.0
"""Seconds for what does not wait by itself: opening the way to a desktop may take some."""
_TYPED_A_SECOND = 250


def screenshot(session: UUID | str, *, width: int | None = None) -> Steps[bytes]:
    """Return a PNG of what the screen shows, no wider than `width` pixels."""
    query = {} if width is None else {"width": str(width)}
    answer = yield from call(Send("GET", f"{PATH}/{session}/screenshot", query, timeout=_PATIENCE))
    return answer.body


def act(session: UUID | str, *actions: dict[str, Any]) -> Steps[InputDone]:
    """Do several things, one after another, in one request.

    Args:
        session: its id.
        actions: as the API has them, e.g. `{"type": "click", "at": {"x": 10, "y": 20}}`.

    Raises:
        Invalid: one of them is none; nothing was done then.
        Conflict: a key is unknown, or they are too many; nothing was done then.
        TooMany: the desktop takes no more for now; asked again by itself before.
        Broken: some may have been done.
    """
    patience = _PATIENCE + sum(_seconds(one) for one in actions)
    request = Send(
        "POST",
        f"{PATH}/{session}/input",
        body={"actions": list(actions)},
        once=True,
        timeout=patience,
    )
    answer = yield from call(request)
    return InputDone.model_validate_json(answer.body)


def type_(session: UUID | str, text: str) -> Steps[InputDone]:
    """Type a text, any characters whatever the keyboard; a line feed is Return."""
    return (yield from act(session, {"type": "text", "text": text}))


def press(session: UUID | str, *keys: str) -> Steps[InputDone]:
    """Press keys and let go of them, one chord after another."""
    return (yield from act(session, {"type": "keys", "keys": list(keys)}))


def click(
    session: UUID | str,
    x: int | None = None,
    y: int | None = None,
    *,
    button: str = "left",
    count: int = 1,
    keys: str | None = None,
) -> Steps[InputDone]:
    """Click somewhere, or where the pointer is.

    Args:
        session: its id.
        x: where; None, with `y`: where the pointer is.
        y: where.
        button: `left`, `middle`, `right`, `back` or `forward`.
        count: 2 is a double click.
        keys: held meanwhile, e.g. `ctrl`.
    """
    asked = {"type": "click", "button": button, "count": count, "at": _at(x, y), "keys": keys}
    return (yield from act(session, _given(asked)))


def move(session: UUID | str, x: int, y: int) -> Steps[InputDone]:
    """Put the pointer somewhere."""
    return (yield from act(session, {"type": "move", "x": x, "y": y}))


def drag(session: UUID | str, *path: Place, button: str = "left") -> Steps[InputDone]:
    """Press a button at the first place, go to each further one, let go at the last."""
    places = [{"x": x, "y": y} for x, y in path]
    return (yield from act(session, {"type": "drag", "path": places, "button": button}))


def scroll(
    session: UUID | str, dy: int, *, dx: int = 0, x: int | None = None, y: int | None = None
) -> Steps[InputDone]:
    """Turn the wheel by so many notches, `dy` down and `dx` to the right."""
    return (
        yield from act(session, _given({"type": "scroll", "dx": dx, "dy": dy, "at": _at(x, y)}))
    )


def wait_still(session: UUID | str, *, quiet: float = 0.3, within: float = 10.0) -> Steps[bool]:
    """Wait until nothing on the screen has changed for `quiet` seconds.

    Returns False if it did not come to that `within` so many seconds.
    """
    done = yield from act(session, {"type": "wait_still", "quiet": quiet, "within": within})
    return bool(done.still)


def wait_window(session: UUID | str, title: str, *, within: float = 30.0) -> Steps[None]:
    """Wait until a window has `title` in its title, whatever the case.

    Raises:
        TimedOut: none has come `within` so many seconds.
    """
    try:
        yield from act(session, {"type": "wait_window", "title": title, "within": within})
    except Conflict as error:
        if error.code != NO_WINDOW:
            raise
        raise TimedOut(f"No window with {title!r} in its title within {within:g} s.") from None


def clipboard(session: UUID | str) -> Steps[str]:
    """Return the text that the desktop's programs have copied."""
    answer = yield from call(Send("GET", f"{PATH}/{session}/clipboard", timeout=_PATIENCE))
    return answer.body.decode()


def copied_picture(session: UUID | str) -> Steps[bytes | None]:
    """Return the picture (PNG) that the desktop's programs have copied; None if there is none."""
    place, query = f"{PATH}/{session}/clipboard", {"kind": "picture"}
    answer = yield from call(Send("GET", place, query=query, timeout=_PATIENCE))
    return answer.body or None


def copy_picture(session: UUID | str, png: bytes) -> Steps[None]:
    """Have the desktop's programs paste this picture."""
    headers, place = {"Content-Type": "image/png"}, f"{PATH}/{session}/clipboard"
    yield from call(Send("PUT", place, body=png, headers=headers, timeout=_PATIENCE))


def copy(session: UUID | str, text: str) -> Steps[None]:
    """Have the desktop's programs paste this text."""
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    place = f"{PATH}/{session}/clipboard"
    yield from call(Send("PUT", place, body=text, headers=headers, timeout=_PATIENCE))


def _seconds(action: dict[str, Any]) -> float:
    waits = (action.get("seconds", 0), action.get("within", 0))
    typed = len(str(action.get("text", ""))) / _TYPED_A_SECOND
    return typed + sum(float(one) for one in waits if isinstance(one, int | float))


def _at(x: int | None, y: int | None) -> dict[str, int] | None:
    return None if x is None or y is None else {"x": x, "y": y}


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
