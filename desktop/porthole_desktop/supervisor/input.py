"""Keys and pointer of an X server, as a program wants them (extension XTEST).

Nothing is faster than `EVENTS_A_SECOND`: programs take events one by one, and who waits for
them is the person beside.
"""

import asyncio
import struct
from typing import Final

from .keyboard import SHIFT, Keyboard, of_character
from .x11 import Display

EVENTS_A_SECOND: Final = 1000
_BREATH: Final = 20
"""Events between two pauses."""
_LEARN: Final = 0.06
"""Seconds that programs get to learn that a key has another meaning."""
_READ: Final = 1.0
"""Seconds that programs get to read a key before it has another meaning: what is on a key they
look up when they come to read it, and on a machine with much to do that is late."""
_KEY_DOWN, _KEY_UP, _BUTTON_DOWN, _BUTTON_UP, _MOTION = 2, 3, 4, 5, 6
_SHIFT, _LOCK = 1 << 0, 1 << 1
_CAPS_LOCK: Final = 0xFFE5


class NoSuchKey(Exception):
    """No key makes that keysym, and none is left that could."""


class Input:
    """What a program does to a desktop; use `open`."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._test = 0
        self._events = 0
        self._taken: tuple[int, ...] = ()
        self._keyboard = Keyboard(0, ())
        self._state = 0
        self.owner: object = None
        """For whom keys and buttons are pressed; who leaves lets go of their own alone."""
        self._held: dict[int, object] = {}
        self._used: dict[int, float] = {}
        self._buttons: dict[int, object] = {}

    async def open(self) -> None:
        """Find the extension.

        Raises:
            XError: the X server has none.
        """
        self._test, _ = await self._display.extension("XTEST")

    async def look(self) -> None:
        """Learn what is on the keys now: layouts change, and so does Caps Lock."""
        display = self._display
        self._keyboard = Keyboard(display.keycodes[0], await display.keysyms(), self._taken)
        pointer = await display.ask(38, 0, struct.pack("<I", display.screen.root))
        self._state = struct.unpack_from("<H", pointer, 24)[0]

    async def text(self, text: str) -> None:
        """Type a text.

        Raises:
            NoSuchKey: a character cannot be typed.
        """
        await self.look()
        lock = self._keyboard.stroke(_CAPS_LOCK) if self._state & _LOCK else None
        if lock is not None:  # what it does to a character is decided by every program anew
            await self._tap(lock.code)
        try:
            await self._text(text)
        finally:
            if lock is not None:
                await self._tap(lock.code)
                await self._display.sync()

    async def _text(self, text: str) -> None:
        at = 0
        while at < len(text):
            end = await self._teach(text, at)
            for character in text[at:end]:
                await self._type(of_character(character))
            at = end
        await self._display.sync()

    async def press(self, keysyms: list[int], *, down: bool, up: bool) -> None:
        """Press keys in their order, let go of them in the reverse one, or both.

        Raises:
            NoSuchKey: there is no such key; none was pressed then.
        """
        await self.look()
        strokes = []
        for keysym in keysyms:
            stroke = self._stroke(keysym)
            if stroke is None:
                stroke = await self._give(keysym)
                await self._display.sync()
                await asyncio.sleep(_LEARN)
            strokes.append(stroke)
        held = {code for code, _ in strokes}
        shifts = [self._shift()] if down and any(shifted for _, shifted in strokes) else []
        codes = [*(code for code in shifts if code not in held), *(code for code, _ in strokes)]
        for code in codes if down else ():
            await self._key(code, down=True)
        for code in reversed(codes) if up else ():
            await self._key(code, down=False)
        if down and not up:  # what is let go of later by name must not leave Shift behind
            for code in shifts:
                await self._key(code, down=False)
        await self._display.sync()

    async def move(self, x: int, y: int) -> None:
        """Put the pointer somewhere."""
        await self._fake(_MOTION, 0, x, y)
        await self._display.sync()

    async def button(self, button: int, *, down: bool) -> None:
        """Press a button or let go of it."""
        if down:
            self._buttons[button] = self.owner
        else:
            self._buttons.pop(button, None)
        await self._fake(_BUTTON_DOWN if down else _BUTTON_UP, button)
        await self._display.sync()

    async def let_go(self, owner: object) -> None:
        """Let go of all that is held for them."""
        for code in [code for code, one in reversed(self._held.items()) if one is owner]:
            await self._key(code, down=False)
        for button in [button for button, one in self._buttons.items() if one is owner]:
            await self.button(button, down=False)

    async def _teach(self, text: str, begin: int) -> int:
        """Give keys to characters that have none; return up to where the text can be typed."""
        most = max(1, len(self._keyboard.spare))
        given: set[int] = set()
        end = begin
        for character in text[begin:]:
            keysym = of_character(character)
            stroke = self._stroke(keysym, shift=self._shifted)
            if stroke is None:
                if len(given) >= most:
                    break
                given.add((await self._give(keysym))[0])
            else:
                self._keyboard.used(stroke[0])
            end += 1
        if given:
            await self._display.sync()
            await asyncio.sleep(_LEARN)
        return end

    @property
    def _shifted(self) -> bool:
        """Whether somebody holds Shift: a text is meant as it is all the same."""
        return bool(self._state & _SHIFT)

    def _stroke(self, keysym: int, *, shift: bool = False) -> tuple[int, bool] | None:
        found = self._keyboard.stroke(keysym, group=self._state >> 13 & 3, shift=shift)
        return None if found is None else (found.code, found.shifted)

    async def _give(self, keysym: int) -> tuple[int, bool]:
        code = self._keyboard.give(keysym)
        if code is None:
            raise NoSuchKey(f"No key of this desktop makes the keysym {keysym:#x}.")
        if code in self._used:
            await self._display.sync()
            await asyncio.sleep(self._used[code] + _READ - asyncio.get_running_loop().time())
        self._taken = self._keyboard.spare
        self._display.send(100, 1, struct.pack("<BBxxII", code, 2, keysym, keysym))
        return code, False

    def _shift(self) -> int:
        stroke = self._keyboard.stroke(SHIFT)
        if stroke is None:
            raise NoSuchKey("The keyboard has no Shift.")
        return stroke.code

    async def _type(self, keysym: int) -> None:
        stroke = self._stroke(keysym, shift=self._shifted)
        if stroke is None:
            raise NoSuchKey(f"No key of this desktop makes the keysym {keysym:#x}.")
        code, shifted = stroke
        if shifted:
            await self._key(self._shift(), down=True)
        await self._tap(code)
        if shifted:
            await self._key(self._shift(), down=False)

    async def _tap(self, code: int) -> None:
        await self._key(code, down=True)
        await self._key(code, down=False)

    async def _key(self, code: int, *, down: bool) -> None:
        if down:
            self._held[code] = self.owner
        else:
            self._held.pop(code, None)
        if code in self._taken:
            self._used[code] = asyncio.get_running_loop().time()
        await self._fake(_KEY_DOWN if down else _KEY_UP, code)

    async def _fake(self, kind: int, detail: int, x: int = 0, y: int = 0) -> None:
        self._events += 1
        root = self._display.screen.root if kind == _MOTION else 0
        body = struct.pack("<BBxxII8xhh8x", kind, detail, 0, root, x, y)
        self._display.send(self._test, 2, body)
        if self._events % _BREATH == 0:
            await self._display.sync()
            await asyncio.sleep(_BREATH / EVENTS_A_SECOND)
