"""What a program asks of a desktop, in the words of people."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from porthole_contract.stream import drive

X = Annotated[int, Field(ge=0, le=16383, description="Pixels from the left edge of the screen.")]
Y = Annotated[int, Field(ge=0, le=16383, description="Pixels from the top edge of the screen.")]
Chord = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        description="A key, or several held together: `a`, `Return`, `ctrl+shift+t`.",
    ),
]
Button = Literal["left", "middle", "right", "back", "forward"]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Point(_Asked):
    """A place on the screen."""

    x: X
    y: Y


class Text(_Asked):
    """Type a text: any characters, whatever the keyboard's layout."""

    type: Literal["text"]
    text: Annotated[str, Field(min_length=1, max_length=drive.MOST_TEXT, pattern=drive.TYPEABLE)]


class Keys(_Asked):
    """Press keys and let go of them, one chord after another."""

    type: Literal["keys"]
    keys: Annotated[list[Chord], Field(min_length=1, max_length=100)]


class HoldKeys(_Asked):
    """Press keys and hold them (`key_down`), or let go of them (`key_up`)."""

    type: Literal["key_down", "key_up"]
    keys: Chord


class Move(_Asked):
    """Put the pointer somewhere."""

    type: Literal["move"]
    x: X
    y: Y


class Click(_Asked):
    """Click somewhere, or where the pointer is; `keys` are held meanwhile."""

    type: Literal["click"]
    at: Point | None = None
    button: Button = "left"
    count: Annotated[int, Field(ge=1, le=5)] = 1
    keys: Chord | None = None


class HoldButton(_Asked):
    """Press a button and hold it (`button_down`), or let go of it (`button_up`)."""

    type: Literal["button_down", "button_up"]
    at: Point | None = None
    button: Button = "left"


class Drag(_Asked):
    """Press a button at the first place, go to each further one, let go at the last."""

    type: Literal["drag"]
    path: Annotated[list[Point], Field(min_length=2, max_length=50)]
    button: Button = "left"


class Scroll(_Asked):
    """Turn the wheel, by so many notches: `dy` down, `dx` to the right."""

    type: Literal["scroll"]
    at: Point | None = None
    dx: Annotated[int, Field(ge=-50, le=50)] = 0
    dy: Annotated[int, Field(ge=-50, le=50)] = 0


class Wait(_Asked):
    """Do nothing for so many seconds."""

    type: Literal["wait"]
    seconds: Annotated[float, Field(ge=0, le=drive.LONGEST_ACT)]


class WaitStill(_Asked):
    """Wait until nothing on the screen has changed for `quiet` seconds, at most `within`."""

    type: Literal["wait_still"]
    quiet: Annotated[float, Field(ge=0.05, le=10)] = 0.3
    within: Annotated[float, Field(ge=0.05, le=drive.LONGEST_ACT)] = 10.0


class Scale(_Asked):
    """Have things so large from now on, in percent; programs that run keep their size.

    The next start of the desktop goes by the session's `display.scale`.
    """

    type: Literal["scale"]
    percent: Annotated[int, Field(ge=50, le=400)]


class WaitWindow(_Asked):
    """Wait until a window has `title` in its title, whatever the case, at most `within` seconds.

    If none has by then, it ends with an error, and what follows is not done.
    """

    type: Literal["wait_window"]
    title: Annotated[
        str, Field(min_length=1, max_length=drive.LONGEST_TITLE, pattern=drive.TYPEABLE)
    ]
    within: Annotated[float, Field(ge=0.05, le=drive.LONGEST_ACT)] = 30.0


Asked = Annotated[
    Text
    | Keys
    | HoldKeys
    | Move
    | Click
    | HoldButton
    | Drag
    | Scroll
    | Wait
    | WaitStill
    | WaitWindow
    | Scale,
    Field(discriminator="type"),
]


class Input(_Asked):
    """What is done to a desktop, one after another; all of it is read before any is done."""

    actions: Annotated[list[Asked], Field(min_length=1, max_length=200)]


class InputDone(BaseModel):
    """All of it was done."""

    actions: int = Field(description="How many were done.")
    still: bool | None = Field(
        description="Whether the last `wait_still` ended with a still screen; null: none was."
    )
