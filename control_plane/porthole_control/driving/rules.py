"""From what people ask to what a desktop's supervisor does: key by key. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from porthole_contract.errors import Invalid
from porthole_contract.stream import drive, keys
from porthole_control.driving import schemas
from porthole_control.errors import Conflict

_BUTTONS: Final = {"left": 1, "middle": 2, "right": 3, "back": 8, "forward": 9}
_UP, _DOWN, _LEFT, _RIGHT = 4, 5, 6, 7
_STEP_SECONDS: Final = 0.02
"""Between the steps of a drag: programs look at where the pointer is, not where it was."""


def compiled(asked: Iterable[schemas.Asked]) -> tuple[drive.Action, ...]:
    """Return the actions that carry out what is asked.

    Raises:
        Conflict: a key is unknown, or it is more than one request may do.
    """
    actions: list[drive.Action] = []
    for number, one in enumerate(asked):
        try:
            actions.extend(_of(one))
        except Invalid as error:
            raise Conflict("unknown_key", f"In action {number} {error.sentence}.") from None
    found = tuple(actions)
    typed = sum(len(one.text) for one in found if isinstance(one, drive.TypeText))
    if len(found) > drive.MOST_ACTIONS:
        raise Conflict("too_much", f"These are more than {drive.MOST_ACTIONS} steps; send fewer.")
    if typed > drive.MOST_TEXT:
        most = drive.MOST_TEXT
        raise Conflict("too_much", f"These type more than {most} characters; send fewer.")
    if drive.waits(found) > drive.LONGEST_ACT:
        longest = drive.LONGEST_ACT
        raise Conflict("too_much", f"These may wait for more than {longest:.0f} s in all.")
    return found


def _of(one: schemas.Asked) -> Iterator[drive.Action]:
    match one:
        case schemas.Text() | schemas.Keys() | schemas.HoldKeys():
            return _typed(one)
        case schemas.Wait() | schemas.WaitStill() | schemas.WaitWindow():
            return iter((_waited(one),))
        case schemas.Scale():
            return iter((drive.SetScale(percent=one.percent),))
        case schemas.Drag():
            return _drag(one)
        case _:
            return _pointed(one)


def _waited(one: schemas.Wait | schemas.WaitStill | schemas.WaitWindow) -> drive.Action:
    match one:
        case schemas.Wait():
            return drive.Pause(seconds=one.seconds)
        case schemas.WaitStill():
            return drive.AwaitStill(quiet=one.quiet, within=one.within)
        case schemas.WaitWindow():
            return drive.AwaitWindow(title=one.title, within=one.within)


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
    place = schemas.Point(x=one.x, y=one.y) if isinstance(one, schemas.Move) else one.at
    if place is not None:
        yield drive.MovePointer(x=place.x, y=place.y)
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
