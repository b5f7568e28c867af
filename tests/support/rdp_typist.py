"""Who types over RDP: a client that looks at nothing and says keys and characters as it is told.

async with typing(pair) as typist:
    typist.text("日本"); typist.tap(ENTER)
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

from porthole_control.rdp_servers.probe import Probe
from porthole_control.rdp_servers.words import data_pdu, send_data
from tests.support.desktop_pair import DesktopPair, a_stream

ENTER, SPACE, CONTROL, SHIFT, CAPS_LOCK = 0x1C, 0x39, 0x1D, 0x2A, 0x3A
C, D, E, K, N, O = 0x2E, 0x20, 0x12, 0x25, 0x31, 0x18  # noqa: E741 - the letter on the key
_KEY, _UNICODE, _UP = 0 << 5, 4 << 5, 1
_SLOW_UNICODE, _SLOW_UP, _INPUT = 5, 0x8000, 28


def key(scancode: int, *, down: bool) -> bytes:
    """Return a key as an event of the fast path."""
    return bytes((_KEY | (not down) * _UP, scancode))


def tapped(*scancodes: int) -> list[bytes]:
    """Return keys that are pressed and let go of, one after another."""
    return [key(one, down=down) for one in scancodes for down in (True, False)]


def units(text: str) -> list[int]:
    """Return the UTF-16 of a text."""
    return [unit for (unit,) in struct.iter_unpack("<H", text.encode("utf-16-le"))]


def written(text: str) -> list[bytes]:
    """Return characters as events of the fast path, each pressed and let go of."""
    return [
        bytes((_UNICODE | way,)) + struct.pack("<H", unit)
        for unit in units(text)
        for way in (0, _UP)
    ]


def fast(events: list[bytes]) -> bytes:
    """Return events in PDUs of the fast path."""
    pdus = b""
    for at in range(0, len(events), 15):
        part = events[at : at + 15]
        body = b"".join(part)
        pdus += bytes((len(part) << 2,)) + (0x8000 | len(body) + 3).to_bytes(2, "big") + body
    return pdus


def slow(text: str) -> bytes:
    """Return what a data PDU of input says to write a text."""
    said = [
        struct.pack("<IHHHH", 0, _SLOW_UNICODE, way, unit, 0)
        for unit in units(text)
        for way in (0, _SLOW_UP)
    ]
    return struct.pack("<HH", len(said), 0) + b"".join(said)


class _Client(Probe):
    """A viewer that does not mind what it is shown."""

    shown = False

    def _fast(self, pdu: bytes) -> Iterator[bytes]:
        self.shown = True
        yield from super()._fast(pdu)


class Typist:
    """One that has seen the first picture; `over` is set when the gate has closed the stream."""

    def __init__(self, stream: UUID, probe: Probe, writer: asyncio.StreamWriter) -> None:
        self.stream = stream
        self.over = asyncio.Event()
        self._probe = probe
        self._writer = writer

    def say(self, events: list[bytes]) -> None:
        """Say events of the fast path."""
        self._writer.write(fast(events))

    def tap(self, *scancodes: int) -> None:
        """Press keys, one after another."""
        self.say(tapped(*scancodes))

    def text(self, text: str) -> None:
        """Write a text."""
        self.say(written(text))

    def slow_text(self, text: str) -> None:
        """Write a text by the slow path."""
        share, user, io = self._probe._share, self._probe._user, self._probe._io
        self._writer.write(send_data(user, io, data_pdu(share, user, _INPUT, slow(text))))

    def click(self, x: int, y: int) -> None:
        """Click somewhere."""
        self.say([struct.pack("<BHHH", 1 << 5, flags, x, y) for flags in (0x0800, 0x9000, 0x1000)])

    def leave(self) -> None:
        """Be gone at once."""
        self._writer.transport.abort()


@contextlib.asynccontextmanager
async def typing(pair: DesktopPair, mode: str = "control") -> AsyncIterator[Typist]:
    """Connect, wait for the first picture, and go on taking what the desktop shows."""
    name = a_stream()
    request = pair.identity.request("rdp", mode, name).evolve(protocol="rdcleanpath")
    reader, writer = await pair.open(request)
    probe = _Client(800, 600)
    typist = Typist(name, probe, writer)
    shown = asyncio.Event()

    async def look() -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(probe.feed(data))
                if probe.shown:
                    shown.set()
        typist.over.set()

    writer.write(probe.hello())
    looking = asyncio.create_task(look())
    try:
        async with asyncio.timeout(20):
            await shown.wait()
        yield typist
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        typist.leave()
