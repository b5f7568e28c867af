"""Text that supervisors write for a viewer: old ones, broken ones, none; keys go on after it."""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from porthole_desktop.gate import scribe
from porthole_desktop.gate.rdp.writing import Keys, Text
from porthole_desktop.gate.scribe import MOST_AT_ONCE, MOST_WAITING, Scribe
from porthole_desktop.gate.supervisor import Supervisor
from porthole_desktop.supervisor import protocol
from porthole_desktop.supervisor.protocol import Kind
from tests.support.waiting import until

FIRST, SECOND = Keys(b"first"), Keys(b"second")
OTHER = b"a picture is acknowledged"
DONE = b'{"type":"done","id":#}\n'
SECRET = "密"


@dataclass
class Written:
    """A supervisor, and what it was asked; `answer` has # for a request's number; None: the end."""

    answer: bytes | None = DONE
    serves: tuple[str, ...] = ("text", "drive")
    asked: list[tuple[str, str]] = field(default_factory=list)
    open: dict[int, str] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = protocol.Decoder()
        writer.write(protocol.hello("supervisor") + protocol.say("state", drawn=True))
        while data := await reader.read(65536):
            for frame in decoder.feed(data):
                if frame.channel == protocol.CONVERSATION:
                    self._opens(frame.message(), writer)
                elif frame.kind is Kind.BYTES:
                    self._asked(self.open[frame.channel], json.loads(frame.payload))
                    number = str(json.loads(frame.payload)["id"]).encode()
                    answer, kind = (self.answer or b"").replace(b"#", number), Kind.BYTES
                    if self.answer is None:
                        kind = Kind.END
                    if answer or self.answer is None:
                        writer.write(protocol.encode(frame.channel, kind, answer))
                elif frame.kind is Kind.END:
                    del self.open[frame.channel]
                    writer.write(protocol.encode(frame.channel, Kind.END, b""))
        writer.close()

    def _opens(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if message["type"] != "open":
            return
        if message["name"] in self.serves:
            self.open[message["channel"]] = message["name"]
            writer.write(protocol.say("reply", id=message["id"], ok=True))
        else:
            error = {"code": "unknown_channel", "message": "No."}
            writer.write(protocol.say("reply", id=message["id"], error=error))

    def _asked(self, name: str, request: dict[str, Any]) -> None:
        text = "".join(action["text"] for action in request["actions"])
        self.asked.append((name, text))


@dataclass
class Made:
    """A scribe, what it has sent to the desktop, and said."""

    scribe: Scribe
    sent: list[bytes]
    said: list[str]
    full: list[bool]


def _noting(full_: list[bool]) -> Callable[..., None]:
    def note(*, full: bool) -> None:
        full_.append(full)

    return note


@asynccontextmanager
async def made(supervisor: Written) -> AsyncIterator[Made]:
    sent: list[bytes] = []
    said: list[str] = []
    full: list[bool] = []
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        path = Path(folder) / "supervisor.sock"
        server = await asyncio.start_unix_server(supervisor.serve, path)
        nothing = lambda: None  # noqa: E731 - it is one
        gate_s = Supervisor(
            path, os.getuid(), changed=nothing, asked=nothing, uses=lambda _: None, say=said.append
        )
        following = asyncio.create_task(gate_s.run())
        one = Made(
            Scribe(
                gate_s,
                send=sent.extend,
                full=_noting(full),
                failed=said.append,
            ),
            sent,
            said,
            full,
        )
        try:
            await until(lambda: gate_s.heard)
            yield one
        finally:
            one.scribe.forget()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            server.close()
            await asyncio.sleep(0.05)


async def test_keys_wait_for_text_and_nothing_else_does() -> None:
    supervisor = Written()
    async with made(supervisor) as one:
        assert one.scribe.take([FIRST, OTHER]) == [FIRST, OTHER]
        assert one.scribe.take([Text("日"), OTHER, SECOND, Text("本")]) == [OTHER]
        assert one.scribe.take([Text("語"), FIRST]) == []
        await until(lambda: len(one.sent) == 2)
        assert one.sent == [SECOND, FIRST]
        assert supervisor.asked == [("text", "日"), ("text", "本語")]
        assert one.scribe.take([SECOND]) == [SECOND]
        assert one.said == []


async def test_an_older_supervisor_writes_where_programs_do() -> None:
    supervisor = Written(serves=("drive",))
    async with made(supervisor) as one:
        for text in ("日", "本"):
            one.scribe.take([Text(text), FIRST])
            await until(lambda: one.sent == [FIRST])
            one.sent.clear()
        assert supervisor.asked == [("drive", "日"), ("drive", "本")]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"rubbish\n", "may not"),
        (DONE.replace(b"#", b"#0"), "may not"),
        (b"x" * 65536, "did not answer"),
        (b'{"type":"clipboard","id":#,"bytes":3}\nabc', "may not"),
        (b'{"type":"failed","id":#,"code":"unknown_key"}\n', "unknown"),
        (None, "has ended"),
        (b"", "did not answer"),
    ],
)
async def test_what_a_broken_supervisor_loses_is_text_alone(
    answer: bytes | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scribe, "PATIENCE", 0.3)
    supervisor = Written(answer)
    async with made(supervisor) as one:
        one.scribe.take([Text(SECRET * (MOST_AT_ONCE + 1)), FIRST, Text(SECRET), SECOND])
        await until(lambda: len(one.sent) == 2)
        assert one.sent == [FIRST, SECOND]
        assert len(supervisor.asked) == 1  # what comes behind text that is lost is lost with it
        (sentence,) = one.said
        assert why in sentence
        assert SECRET not in sentence
        supervisor.answer = DONE
        one.scribe.take([Text("文"), FIRST])
        await until(lambda: one.sent[2:] == [FIRST])
        assert supervisor.asked[-1] == ("text", "文")


async def test_without_a_supervisor_keys_go_on() -> None:
    async with made(Written(serves=())) as one:
        one.scribe.take([Text(SECRET), FIRST])
        await until(lambda: one.sent == [FIRST])
        assert "unknown_channel" in one.said[0]


async def test_what_is_forgotten_is_not_written_and_its_keys_are_told() -> None:
    supervisor = Written(b"")
    async with made(supervisor) as one:
        one.scribe.take([Text("日"), FIRST, Text("本"), SECOND])
        await until(lambda: bool(supervisor.asked))
        assert one.scribe.forget() == [FIRST, SECOND]
        await until(lambda: supervisor.open == {})
        assert one.scribe.take([FIRST]) == [FIRST]
        # Also while the channel is only being opened.
        one.scribe.take([Text("語"), FIRST])
        await asyncio.sleep(0.01)
        assert one.scribe.forget() == [FIRST]
        await asyncio.sleep(0.3)
        assert supervisor.open == {}
        assert len(supervisor.asked) == 1


async def test_who_writes_faster_than_is_written_is_not_read_meanwhile() -> None:
    supervisor = Written(b"")
    async with made(supervisor) as one:
        one.scribe.take([Text("x" * (MOST_WAITING - 1))])
        assert one.full == []
        one.scribe.take([Text("x" * 40)])
        assert one.full == [True]
        assert one.scribe.full
        one.scribe.forget()
        assert one.full == [True, False]
