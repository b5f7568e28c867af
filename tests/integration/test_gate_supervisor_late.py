"""A supervisor that answers when nobody waits for it any more."""

import asyncio
import os
import tempfile
from asyncio import StreamReader, StreamWriter
from pathlib import Path

import pytest

from porthole_contract.errors import Refused
from porthole_desktop.gate import supervisor as following
from porthole_desktop.gate.supervisor import Supervisor
from porthole_desktop.supervisor import protocol
from tests.support.waiting import until


class Listening:
    def heard(self, data: bytes) -> None: ...

    def roomy(self) -> None: ...

    def ended(self, sentence: str) -> None: ...


async def test_a_channel_that_is_opened_too_late_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_ANSWER_SECONDS", 0.05)
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    refused = asyncio.Event()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        decoder = protocol.Decoder()
        writer.write(protocol.hello("supervisor"))
        while data := await reader.read(4096):
            for frame in decoder.feed(data):
                if frame.channel != protocol.CONVERSATION:
                    assert frame.kind is protocol.Kind.END
                    ended.set_result(frame.channel)
                elif (message := frame.message())["type"] == "open":
                    await refused.wait()
                    writer.write(protocol.say("reply", id=message["id"], ok=True))
        writer.close()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.sock")
        server = await asyncio.start_unix_server(serve, path)
        gate = Supervisor(
            path,
            os.getuid(),
            changed=lambda: None,
            asked=lambda: None,
            uses=lambda _: None,
            say=lambda _: None,
        )
        run = asyncio.create_task(gate.run())
        await until(lambda: gate.heard)
        with pytest.raises(Refused, match="does not answer"):
            await gate.open("exec", Listening())
        refused.set()
        async with asyncio.timeout(5):
            assert await ended == 1
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        server.close()
        await asyncio.sleep(0.05)
