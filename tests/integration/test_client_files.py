"""Files and programs as the client's programs reach them: at a real gate, over a WebSocket."""

import asyncio
import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.asyncio.server import ServerConnection, serve
from websockets.sync.client import connect

from porthole_client.cli.copying import Copy
from porthole_client.errors import FileFault, ProgramFault, StreamLost, StreamRefused
from porthole_client.files import AsyncHomeFiles, HomeFiles
from porthole_client.programs import run, run_async, run_message
from porthole_client.talks import AsyncFrames, SyncFrames
from tests.support.desktop_pair import DesktopPair

MIB = 2**20


class Bridge:
    """A WebSocket for each of a gate's channels, `/exec` and `/files`; it can be cut."""

    def __init__(self, pair: DesktopPair) -> None:
        self._pair = pair
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self.port = 0
        self.cut_after: int | None = None
        self.refuses = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with serve(self._meet, "127.0.0.1", 0, max_size=MIB) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._ready.set()
            await self._stop.wait()
        await self._pair.close_streams()

    async def _meet(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        if self.refuses:
            await socket.close(4005, "programs_forbidden: Not here.")
            return
        channel = socket.request.path.strip("/")
        reader, writer = await self._pair.open(self._pair.identity.request(channel))

        async def up() -> None:
            async for data in socket:
                assert isinstance(data, bytes)
                if self.cut_after is not None:
                    self.cut_after -= len(data)
                    if self.cut_after < 0:
                        self.cut_after = None
                        socket.transport.abort()
                        return
                writer.write(data)
                await writer.drain()

        async def down() -> None:
            while data := await reader.read(65536):
                await socket.send(data)

        with contextlib.suppress(OSError):
            tasks = [asyncio.ensure_future(one()) for one in (up, down)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        writer.transport.abort()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def url(self, channel: str) -> str:
        return f"ws://127.0.0.1:{self.port}/{channel}"

    @contextlib.contextmanager
    def files(self) -> Iterator[HomeFiles]:
        with connect(self.url("files"), compression=None) as socket:
            yield HomeFiles(SyncFrames(socket))


@pytest.fixture(scope="module")
def pair() -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        made.start_desktop()
        made.start_gate()
        try:
            made.wait_healthy()
            yield made
        finally:
            made.stop()


@pytest.fixture
def bridge(pair: DesktopPair) -> Iterator[Bridge]:
    made = Bridge(pair)
    yield made
    made.close()


def opener(bridge: Bridge) -> Any:
    def opened() -> AbstractContextManager[HomeFiles]:
        return bridge.files()

    return opened


def test_a_home_is_reached_by_a_blocking_program(pair: DesktopPair, bridge: Bridge) -> None:
    with bridge.files() as files:
        made = files.write("papers.txt", b"x" * 200_000)
        assert (made.name, made.kind, made.size) == ("papers.txt", "file", 200_000)
        assert files.read("papers.txt") == b"x" * 200_000
        files.make_folder("a/b")
        files.rename("papers.txt", "a/b/p")
        assert [one.name for one in files.list("a/b")] == ["p"]
        with pytest.raises(FileFault) as caught:
            files.write("a/b/p", b"y", replace=False)
        assert caught.value.code == "exists"
        assert files.stat("a/b/p").size == 200_000
        files.delete("a", recursive=True)
    assert not (pair.home / "a").exists()


async def test_and_by_an_asyncio_program(bridge: Bridge, tmp_path: Path) -> None:
    data = os.urandom(2 * MIB + 1)
    (tmp_path / "data").write_bytes(data)
    seen: list[tuple[int, int]] = []
    async with connect_async(bridge.url("files"), compression=None) as socket:
        over = AsyncFrames(socket)
        files = AsyncHomeFiles(over)
        await files.upload(tmp_path / "data", "data", progress=lambda *at: seen.append(at))
        await files.download("data", tmp_path / "back")
        await files.delete("data")
        await over.close()
    assert (tmp_path / "back").read_bytes() == data
    assert seen[-1] == (len(data), len(data))


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_copy_goes_on_when_its_stream_breaks(
    pair: DesktopPair, bridge: Bridge, tmp_path: Path, way: str
) -> None:
    tree = (tmp_path if way == "up" else pair.home) / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub/big").write_bytes(os.urandom(6 * MIB))
    (tree / "small").write_text("small")
    (tree / "link").symlink_to("/etc/passwd")
    told: list[str] = []
    with Copy(opener(bridge), told.append) as copy:
        if way == "up":
            bridge.cut_after = 3 * MIB
            copy.up(tree, "taken")
            there = pair.home / "taken"
        else:
            copy.down("tree", tmp_path / "taken")
            there = tmp_path / "taken"
    assert (there / "sub/big").read_bytes() == (tree / "sub/big").read_bytes()
    assert (there / "small").read_text() == "small"
    assert not (there / "link").exists()
    assert len(copy.left_out) == 1
    assert copy.files == 2
    assert any("Going on" in one for one in told) == (way == "up")


def test_a_download_goes_on_where_it_was(pair: DesktopPair, bridge: Bridge, tmp_path: Path) -> None:
    data = os.urandom(3 * MIB)
    (pair.home / "f").write_bytes(data)
    seen: list[int] = []

    def stop(done: int, _: int) -> None:
        seen.append(done)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), bridge.files() as files:
        files.download("f", tmp_path / "f", stop)
    assert not (tmp_path / "f").exists()
    with bridge.files() as files:
        files.download("f", tmp_path / "f", lambda done, _: seen.append(done))
    assert (tmp_path / "f").read_bytes() == data
    assert seen[5] > seen[4]
    assert [one.name for one in tmp_path.iterdir()] == ["f"]


def test_a_program_is_run_and_heard(bridge: Bridge) -> None:
    heard: list[tuple[int, bytes]] = []
    asked = run_message(["sh", "-c", "cat; echo oh >&2; exit 4"], {"A": "b"}, None, 20)
    with connect(bridge.url("exec"), compression=None) as socket:
        ran = run(socket, asked, b"said", lambda *said: heard.append(said))
    assert (ran.exit_code, ran.timed_out) == (4, False)
    assert sorted(heard) == [(1, b"said"), (2, b"oh\n")]
    with (
        connect(bridge.url("exec"), compression=None) as socket,
        pytest.raises(ProgramFault) as caught,
    ):
        run(socket, run_message(["/nowhere"], None, None, None), b"", None)
    assert caught.value.code == "not_started"


async def test_megabytes_go_through_a_program(bridge: Bridge) -> None:
    data = os.urandom(3 * MIB)
    async with connect_async(bridge.url("exec"), compression=None) as socket:
        ran = await run_async(socket, run_message(["cat"], None, None, None), data, None)
    assert (ran.status, ran.stdout) == (0, data)


def test_a_stream_that_breaks_is_said(bridge: Bridge) -> None:
    bridge.cut_after = 100
    with connect(bridge.url("exec"), compression=None) as socket, pytest.raises(StreamLost):
        run(socket, run_message(["cat"], None, None, None), b"x" * 100_000, None)


def test_a_desktop_that_says_no_is_not_asked_again(bridge: Bridge) -> None:
    bridge.refuses = True
    with (
        connect(bridge.url("exec"), compression=None) as socket,
        pytest.raises(StreamRefused) as caught,
    ):
        run(socket, run_message(["cat"], None, None, None), b"", None)
    assert (caught.value.code, str(caught.value)) == ("programs_forbidden", "Not here.")
    told: list[str] = []
    with Copy(opener(bridge), told.append) as copy, pytest.raises(StreamRefused):
        copy.down("f", Path("/tmp"))
    assert told == []
