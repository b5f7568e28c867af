"""What is said on the channel `drive`: a program looks at a desktop and uses it.

One JSON object a line, both ways. After a line that names `bytes` come as many raw bytes:
a PNG after `Picture` and `WriteImage`, UTF-8 after `WriteClipboard`, what was asked for after
`Clipboard`. One request at a time:
each is answered by exactly one `Picture`, `Clipboard`, `Done` or `Failed` with its `id`.

In mode `view` there are pictures and nothing else. Keys are X keysyms; `keys` knows their
names. Coordinates are pixels of the screen, from its upper left corner.

Sans-I/O: `Pieces` cuts lines and raw bytes out of what arrives.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from porthole_contract.errors import LocalProtocolError, RemoteProtocolError
from porthole_contract.model import Message

VERSION: Final = "1.2"
"""1.0: screenshot, act, read_clipboard, write_clipboard; picture, clipboard, done, failed.
1.1: read_image, write_image; the action `scale`. 1.2: the action `window`."""
LONGEST_LINE: Final = 256 * 1024
"""Bytes, with the line feed."""
LARGEST_PICTURE: Final = 32 * 2**20
"""Bytes of a PNG; a screen of noise has fewer up to 3840x2160."""
LARGEST_CLIPBOARD: Final = 2**20
"""Bytes of UTF-8, or of a PNG."""
MOST_ACTIONS: Final = 1000
"""Actions of one request."""
MOST_TEXT: Final = 10_000
"""Characters that one request types."""
LONGEST_TITLE: Final = 200
"""Characters of a window's title that one action looks for."""
MOST_HELD: Final = 8
"""Keys that one action presses together."""
LONGEST_ACT: Final = 60.0
"""Seconds of waiting that one request may ask for, in all."""
TYPEABLE: Final = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
"""The pattern of a text that can be typed: no controls but tab and line feed."""
_LARGEST_KEYSYM: Final = 0x1FFFFFFF

RequestId = Annotated[int, Field(ge=0, lt=2**53)]
Coordinate = Annotated[int, Field(ge=0, le=16383)]
Keysym = Annotated[int, Field(ge=1, le=_LARGEST_KEYSYM)]
Side = Annotated[int, Field(ge=1, le=16384)]


class TypeText(Message):
    """Type a text, whatever the keyboard's layout: any character of Unicode but controls.

    A line feed is Return, a tab is Tab.
    """

    do: Literal["text"] = "text"
    text: Annotated[str, Field(min_length=1, max_length=MOST_TEXT, pattern=TYPEABLE)]


class PressKeys(Message):
    """Press keys in their order, let go of them in the reverse one, or both (`tap`)."""

    do: Literal["tap", "press", "release"]
    keys: Annotated[tuple[Keysym, ...], Field(min_length=1, max_length=MOST_HELD)]


class MovePointer(Message):
    """Put the pointer somewhere."""

    do: Literal["move"] = "move"
    x: Coordinate
    y: Coordinate


class PressButton(Message):
    """Press or let go of a button: 1 left, 2 middle, 3 right, 4-7 the wheel, 8 back, 9 on."""

    do: Literal["button"] = "button"
    button: Annotated[int, Field(ge=1, le=9)]
    down: bool


class Pause(Message):
    """Do nothing for a while."""

    do: Literal["pause"] = "pause"
    seconds: Annotated[float, Field(ge=0, le=LONGEST_ACT)]


class AwaitStill(Message):
    """Wait until nothing on the screen has changed for `quiet` seconds, at most `within`."""

    do: Literal["still"] = "still"
    quiet: Annotated[float, Field(ge=0.05, le=10)] = 0.3
    within: Annotated[float, Field(ge=0.05, le=LONGEST_ACT)] = 10.0


class SetScale(Message):
    """Have things so large from now on, in percent of 96 dpi; programs that run keep theirs."""

    do: Literal["scale"] = "scale"
    percent: Annotated[int, Field(ge=50, le=400)]


class AwaitWindow(Message):
    """Wait until a window has `title` in its title, whatever the case.

    If none has `within` so many seconds, it has failed: what follows would go elsewhere.
    """

    do: Literal["window"] = "window"
    title: Annotated[str, Field(min_length=1, max_length=LONGEST_TITLE, pattern=TYPEABLE)]
    within: Annotated[float, Field(ge=0.05, le=LONGEST_ACT)] = 30.0


Action = Annotated[
    TypeText | PressKeys | MovePointer | PressButton | Pause | AwaitStill | AwaitWindow | SetScale,
    Field(discriminator="do"),
]


class TakePicture(Message):
    """Ask for a picture of the screen, no wider than `width` pixels."""

    type: Literal["screenshot"] = "screenshot"
    id: RequestId
    width: Side | None = None


class Act(Message):
    """Do these things, one after another; the first that fails ends it."""

    type: Literal["act"] = "act"
    id: RequestId
    actions: Annotated[tuple[Action, ...], Field(min_length=1, max_length=MOST_ACTIONS)]


class ReadClipboard(Message):
    """Ask for the text that the desktop's programs have copied."""

    type: Literal["read_clipboard"] = "read_clipboard"
    id: RequestId


class WriteClipboard(Message):
    """Have the desktop's programs paste the text that follows."""

    type: Literal["write_clipboard"] = "write_clipboard"
    id: RequestId
    bytes: Annotated[int, Field(ge=0, le=LARGEST_CLIPBOARD)]


class ReadImage(Message):
    """Ask for the picture that the desktop's programs have copied, as PNG."""

    type: Literal["read_image"] = "read_image"
    id: RequestId


class WriteImage(Message):
    """Have the desktop's programs paste the PNG that follows."""

    type: Literal["write_image"] = "write_image"
    id: RequestId
    bytes: Annotated[int, Field(ge=1, le=LARGEST_CLIPBOARD)]


class Picture(Message):
    """A picture, whose PNG follows."""

    type: Literal["picture"] = "picture"
    id: RequestId
    width: Side
    height: Side
    bytes: Annotated[int, Field(ge=1, le=LARGEST_PICTURE)]


class Clipboard(Message):
    """A text or a PNG, which follows; an empty one if nobody has copied anything of the kind."""

    type: Literal["clipboard"] = "clipboard"
    id: RequestId
    bytes: Annotated[int, Field(ge=0, le=LARGEST_CLIPBOARD)]


class Done(Message):
    """It is done. `still`: whether the last wait for a still screen ended in stillness."""

    type: Literal["done"] = "done"
    id: RequestId
    still: bool | None = None


class Failed(Message):
    """It is not done, or not all of it: `at` is the index of the action that failed."""

    type: Literal["failed"] = "failed"
    id: RequestId
    code: Annotated[str, Field(min_length=1, max_length=64)]
    message: Annotated[str, Field(max_length=500)] = ""
    at: Annotated[int, Field(ge=0, lt=MOST_ACTIONS)] | None = None


Request = TakePicture | Act | ReadClipboard | WriteClipboard | ReadImage | WriteImage
Answer = Picture | Clipboard | Done | Failed

_T = TypeVar("_T")
_REQUESTS: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="type")])
_ANSWERS: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="type")])


def waits(actions: tuple[Any, ...]) -> float:
    """Return the seconds that these actions may wait in all."""
    pauses = sum(one.seconds for one in actions if isinstance(one, Pause))
    most = sum(one.within for one in actions if isinstance(one, AwaitStill | AwaitWindow))
    return float(pauses + most)


def events(actions: tuple[Any, ...]) -> int:
    """Return how many key and pointer events these actions cause, about."""
    count = 0
    for one in actions:
        match one:
            case TypeText():
                count += 2 * len(one.text)
            case PressKeys():
                count += len(one.keys) * (2 if one.do == "tap" else 1)
            case MovePointer() | PressButton():
                count += 1
    return count


def encode(message: Request | Answer) -> bytes:
    """Return the line that says `message`.

    Raises:
        LocalProtocolError: it would be longer than `LONGEST_LINE`.
    """
    line = message.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"
    if len(line) > LONGEST_LINE:
        raise LocalProtocolError(f"A line of {len(line)} bytes is too long for this channel.")
    return line


def read_request(line: bytes) -> Request:
    """Return what is asked for.

    Raises:
        RemoteProtocolError: it is no request; the sentence names the first wrong field.
    """
    return _read(line, _REQUESTS)


def read_answer(line: bytes) -> Answer:
    """Return what is answered.

    Raises:
        RemoteProtocolError: it is no answer.
    """
    return _read(line, _ANSWERS)


class Pieces:
    """Cuts lines, and the raw bytes that `expect` announces, out of what arrives.

    A line is looked at before what follows it is cut: whoever takes it says, by `expect`,
    how many raw bytes come next.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._raw = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes."""
        self._buffer += data

    def expect(self, count: int) -> None:
        """The next `count` bytes are raw."""
        self._raw = count

    def next(self) -> tuple[bool, bytes] | None:
        """Return (whether it is a line, the bytes): a whole line, or what there is of raw bytes.

        None: more has to arrive.

        Raises:
            RemoteProtocolError: a line is longer than `LONGEST_LINE`.
        """
        if self._raw:
            if not self._buffer:
                return None
            piece = bytes(self._buffer[: self._raw])
            del self._buffer[: len(piece)]
            self._raw -= len(piece)
            return False, piece
        end = self._buffer.find(b"\n", 0, LONGEST_LINE)
        if end < 0:
            if len(self._buffer) >= LONGEST_LINE:
                raise RemoteProtocolError("A line on the channel 'drive' is too long.")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return True, line


def _read(line: bytes, adapter: TypeAdapter[_T]) -> _T:
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "line"
        raise RemoteProtocolError(
            f"A line on the channel 'drive' is wrong at '{where}': {fault['msg']}."
        ) from None
