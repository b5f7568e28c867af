"""The clipboard when its owner answers late, at an X server that the test plays."""

import asyncio
import struct
from types import SimpleNamespace
from typing import Any

import pytest

from porthole_desktop.supervisor import selection
from porthole_desktop.supervisor.selection import Clipboard
from porthole_desktop.supervisor.x11 import XError

OWNER, NOTIFY = 77, 31
CONVERT, GET_OWNER, GET_PROPERTY = 24, 23, 20


class Server:
    """Knows names and properties; `asked` is what owners are asked for, as target and place."""

    def __init__(self) -> None:
        self.screen = SimpleNamespace(root=1)
        self.asked: list[tuple[int, int]] = []
        self.names: list[str] = [""]
        self.properties: dict[int, bytes] = {}

    def new_id(self) -> int:
        return 5

    async def atom(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def send(self, opcode: int, _: int, body: bytes) -> None:
        if opcode == CONVERT:
            _, _, target, place, _ = struct.unpack("<IIIII", body)
            self.asked.append((target, place))

    async def ask(self, opcode: int, _: int, body: bytes) -> bytes:
        if opcode == GET_OWNER:
            return struct.pack("<8xI20x", OWNER)
        assert opcode == GET_PROPERTY
        place = struct.unpack_from("<I", body, 4)[0]
        value = self.properties.pop(place, b"")
        return struct.pack("<BB6xIII12x", 1, 8, 0, 0, len(value)) + value

    def hand_over(self, clipboard: Clipboard, request: tuple[int, int], value: bytes) -> None:
        target, place = request
        self.properties[place] = value
        event = struct.pack("<B3xIIIII8x", NOTIFY, 0, 5, 0, target, place)
        clipboard.heard(NOTIFY, event)


async def test_a_picture_that_comes_late_is_not_taken_for_the_text_that_is_read_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selection, "_READ_SECONDS", 0.05)
    server: Any = Server()
    clipboard = Clipboard(server)
    await clipboard.open()
    with pytest.raises(XError, match="does not hand it over"):
        await clipboard.read(image=True)
    monkeypatch.setattr(selection, "_READ_SECONDS", 5.0)
    reading = asyncio.create_task(clipboard.read())
    while len(server.asked) < 2:
        await asyncio.sleep(0)
    picture, text = server.asked
    server.hand_over(clipboard, picture, b"PNG")
    await asyncio.sleep(0.01)
    server.hand_over(clipboard, text, b"words")
    assert await reading == b"words"
