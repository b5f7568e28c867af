"""From what people ask to what a desktop's supervisor does: key by key. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from porthole_contract.errors import Invalid
from porthole_contract.stream import drive, keys
from porthole_control.driving import schemas

_BUTTONS: Final = {"left": 1, "middle": 2, "right": 3, "back": 8, "forward": 9}
_UP, _DOWN, _LEFT, _RIGHT = 4, 5, 6, 7
_STEP_SECONDS: Final = 0.02
"""Between the steps of a drag: programs look at where the pointer is, not where it was."""


def compiled(asked: Iterable[schemas.Asked]) -> tuple[drive.Action, ...]:
    """Return the actions that carry out what is asked.

    Raises:
        Invalid: a key is unknown, or it is more than one request may do.
    """
    actions: list[drive.Action] = []
    for number, one in enumerate(asked):
        try:
            actions.extend(_of(one))
        except Invalid as error:
            raise Invalid(f"body.actions.{number}.{error.field}", error.sentence) from None
    found = tuple(actions)
    typed = sum(len(one.text) for one in found if isinstance(one, drive.TypeText))
    if len(found) > drive.MOST_ACTIONS:
        raise Invalid("body.actions", f"make more than {drive.MOST_ACTIONS} steps; send fewer")
    if typed > drive.MOST_TEXT:
        raise Invalid("body.actions", f"type more than {drive.MOST_TEXT} characters; send fewer")
    if drive.waits(found) > drive.LONGEST_ACT:
        raise Invalid("body.actions", f"may wait for more than {drive.LONGEST_ACT:.0f} s in all")
    return found


def _of(one: schemas.Asked) -> Iterator[drive.Action]:
    match one:
        case schemas.Text() | schemas.Keys() | schemas.HoldKeys():
            return _typed(one)
        case schemas.Wait():
            return iter((drive.Pause(seconds=one.seconds),))
        case schemas.WaitStill():
            return iter((drive.AwaitStill(quiet=one.quiet, within=one.within),))
        case schemas.Drag():
            return _drag(one)
        case _:
            return _pointed(one)


def _typed(one: schemas.Text | schemas.Keys | schemas.HoldKeys) -> Iterator[drive.Action]:
    match one:
        case schemas.Text():
            yield drive.TypeText(text=one.text)
        case schemas.Keys():
            for chord in one.keys:
                yield _keys("tap", chord)
        case schemas.HoldKeys():
            yield _keys("press" if one.type == "key_down" else "release", one.keys)


def _pointed(
    one: schemas.Move | schemas.Click | schemas.HoldButton | schemas.Scroll,
) -> Iterator[drive.Action]:
    yield from _to(one.x, one.y)
    match one:
        case schemas.Click():
            if one.keys is not None:
                yield _keys("press", one.keys)
            for _ in range(one.count):
                yield from _press(_BUTTONS[one.button])
            if one.keys is not None:
                yield _keys("release", one.keys)
        case schemas.HoldButton():
            yield drive.PressButton(button=_BUTTONS[one.button], down=one.type == "button_down")
        case schemas.Scroll():
            for count, back, on in ((one.dy, _UP, _DOWN), (one.dx, _LEFT, _RIGHT)):
                for _ in range(abs(count)):
                    yield from _press(on if count > 0 else back)


def _keys(do: str, chord: str) -> drive.PressKeys:
    found = keys.of_chord(chord)
    if len(found) > drive.MOST_HELD:
        raise Invalid("keys", f"are more than {drive.MOST_HELD} held together")
    return drive.PressKeys.model_validate({"do": do, "keys": found})


def _to(x: int | None, y: int | None) -> Iterator[drive.Action]:
    if (x is None) != (y is None):
        raise Invalid("x" if x is None else "y", "is missing; a place has both")
    if x is not None and y is not None:
        yield drive.MovePointer(x=x, y=y)


def _press(button: int) -> Iterator[drive.Action]:
    yield drive.PressButton(button=button, down=True)
    yield drive.PressButton(button=button, down=False)


def _drag(one: schemas.Drag) -> Iterator[drive.Action]:
    button, first, *further = _BUTTONS[one.button], *one.path
    yield drive.MovePointer(x=first.x, y=first.y)
    yield drive.PressButton(button=button, down=True)
    last = first
    for point in further:
        between = schemas.Point(x=(last.x + point.x) // 2, y=(last.y + point.y) // 2)
        for place in (between, point):
            yield drive.Pause(seconds=_STEP_SECONDS)
            yield drive.MovePointer(x=place.x, y=place.y)
        last = point
    yield drive.Pause(seconds=_STEP_SECONDS)
    yield drive.PressButton(button=button, down=False)
