"""The supervisor with real programs: brought up, kept, stopped, lost."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from porthole_desktop.supervisor import protocol
from porthole_desktop.supervisor.painted import colours
from tests.support.desktop_pair import DesktopPair


@pytest.fixture
def pair() -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        try:
            yield made
        finally:
            made.stop()


class Peer:
    """A gate's end of the supervisor's socket."""

    def __init__(self, pair: DesktopPair) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        wait(lambda: self._connect(pair.sockets / "supervisor.sock"))
        self.socket.sendall(protocol.hello("gate"))
        self._decoder = protocol.Decoder()
        self._messages: list[dict[str, Any]] = []

    def _connect(self, path: Path) -> bool:
        try:
            self.socket.connect(str(path))
        except OSError:
            return False
        return True

    def hear(self, kind: str, **fields: object) -> dict[str, Any]:
        """Wait for a message of that type with those fields."""
        while True:
            while self._messages:
                message = self._messages.pop(0)
                if message["type"] == kind and fields.items() <= message.items():
                    return message
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self._messages += [frame.message() for frame in self._decoder.feed(data)]

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        self.socket.sendall(protocol.say(kind, id=7, **fields))
        return self.hear("reply", id=7)

    def carried(self, channel: int, said: dict[str, Any]) -> dict[str, Any]:
        """Say a line on a channel; return the one that answers it."""
        line = json.dumps(said).encode() + b"\n"
        self.socket.sendall(protocol.encode(channel, protocol.Kind.BYTES, line))
        while True:
            for frame in self._decoder.feed(self.socket.recv(65536)):
                if frame.channel == channel:
                    answer: dict[str, Any] = json.loads(frame.payload)
                    return answer

    def close(self) -> None:
        self.socket.close()


def wait(ready: Callable[[], object], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.03)


def children(pid: int) -> dict[str, int]:
    """Return the children of a process by their names."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            name, _, rest = (entry / "stat").read_text().partition(" (")[2].rpartition(") ")
            if int(rest.split()[1]) == pid:
                found[name] = int(entry.name)
    return found


def pid_of(pair: DesktopPair) -> int:
    assert pair.supervisor is not None
    return pair.supervisor.pid


def test_drawn_is_said_when_the_screen_was_painted(pair: DesktopPair) -> None:
    pair.start_desktop()
    peer = Peer(pair)
    assert peer.hear("state")["drawn"] is False
    peer.hear("drawn")
    assert asyncio.run(colours(pair.sockets / "rfb.sock")) > 50
    late = Peer(pair)
    assert late.hear("state")["drawn"] is True
    for each in (peer, late):
        each.close()
    assert (pair.sockets / "rfb.sock").stat().st_mode & 0o777 == 0o660
    assert (pair.sockets / "supervisor.sock").stat().st_mode & 0o777 == 0o660


def test_what_dies_is_started_again(pair: DesktopPair) -> None:
    pair.start_desktop()
    peer = Peer(pair)
    peer.hear("drawn")
    wait(lambda: "tint2" in children(pid_of(pair)))
    for name in ("openbox", "tint2"):
        before = children(pid_of(pair))[name]
        os.kill(before, signal.SIGKILL)
        assert peer.hear("program_exited", program=name)["status"] == -9
        peer.hear("program_started", program=name)
        assert children(pid_of(pair))[name] != before
    peer.close()


def test_programs_are_started_by_name_and_by_command(pair: DesktopPair) -> None:
    sleeper = {"name": "Sleeper", "command": ["sleep", "1000"]}
    pair.start_desktop(programs=[sleeper])
    peer = Peer(pair)
    peer.hear("drawn")
    assert peer.ask("start", program="Sleeper")["ok"] is True
    assert "sleep" in children(pid_of(pair))
    touched = pair.folder / "touched"
    assert peer.ask("start", command=["touch", str(touched)])["ok"] is True
    wait(touched.exists)
    for wrong, code in (
        ({"program": "Nobody"}, "unknown_program"),
        ({"command": []}, "unknown_request"),
        ({"command": ["no-such-program-anywhere"]}, "not_started"),
        ({"command": ["a\0b"]}, "not_started"),
    ):
        reply = peer.ask("start", **wrong)
        assert reply["error"]["code"] == code
    assert peer.ask("open", name="smell")["error"]["code"] == "unknown_channel"
    assert peer.ask("dance")["error"]["code"] == "unknown_request"
    peer.close()


def test_on_the_channel_of_text_nothing_but_text_is_done(pair: DesktopPair) -> None:
    pair.start_desktop()
    peer = Peer(pair)
    peer.hear("drawn")
    assert peer.ask("open", name="text", channel=3)["ok"] is True
    for number, wrong in enumerate(
        (
            {"type": "screenshot"},
            {"type": "read_clipboard"},
            {
                "type": "act",
                "actions": [{"do": "text", "text": "a"}, {"do": "pause", "seconds": 9}],
            },
            {"type": "act", "actions": [{"do": "move", "x": 1, "y": 1}]},
            {"type": "act", "actions": "text"},
            {"type": "act"},
        )
    ):
        answer = peer.carried(3, {"id": number, **wrong})
        assert (answer["type"], answer["code"], answer["id"]) == (
            "failed",
            "unknown_request",
            number,
        )
    taps = [{"do": "tap", "keys": [0xFF08]}, {"do": "text", "text": "文"}]
    assert peer.carried(3, {"type": "act", "id": 9, "actions": taps})["type"] == "done"
    peer.close()


def test_a_program_with_restart_comes_back(pair: DesktopPair) -> None:
    pair.start_desktop(
        programs=[{"name": "Once", "command": ["true"], "autostart": True, "restart": True}]
    )
    peer = Peer(pair)
    for _ in range(3):
        assert peer.hear("program_exited", program="Once")["status"] == 0
    peer.close()


@pytest.mark.parametrize("how", ["signal", "request"])
def test_it_stops_in_order_and_leaves_nothing(pair: DesktopPair, how: str) -> None:
    stubborn = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
    pair.start_desktop(programs=[{"name": "Stubborn", "command": stubborn, "autostart": True}])
    peer = Peer(pair)
    peer.hear("drawn")
    wait(lambda: "sh" in children(pid_of(pair)))
    alive = children(pid_of(pair))
    begun = time.monotonic()
    if how == "signal":
        os.kill(pid_of(pair), signal.SIGTERM)
    else:
        assert peer.ask("stop")["ok"] is True
    assert peer.hear("stopping")["reason"] == "asked"
    assert pair.supervisor is not None
    assert pair.supervisor.wait(10) == 0
    assert time.monotonic() - begun < 5
    assert not [name for name, pid in alive.items() if Path(f"/proc/{pid}").exists()]
    assert list(pair.sockets.iterdir()) == []
    peer.close()


def test_a_desktop_without_its_x_server_is_lost(pair: DesktopPair) -> None:
    pair.start_desktop()
    peer = Peer(pair)
    peer.hear("drawn")
    os.kill(children(pid_of(pair))["Xvnc"], signal.SIGKILL)
    assert peer.hear("stopping")["reason"] == "desktop_lost"
    assert pair.supervisor is not None
    assert pair.supervisor.wait(10) == 75
    peer.close()


def test_a_descriptor_is_kept_and_no_program_gets_it(pair: DesktopPair) -> None:
    lock = os.open(pair.folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    pair.start_desktop("--keep-fd", str(lock), pass_fds=(lock,))
    os.close(lock)
    peer = Peer(pair)
    peer.hear("drawn")
    wait(lambda: "xterm" in children(pid_of(pair)))
    again = os.open(pair.folder / "lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    held = (pair.folder / "lock").stat().st_ino
    for pid in children(pid_of(pair)).values():
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                assert entry.stat().st_ino != held
    orphans = children(pid_of(pair)).values()
    os.kill(pid_of(pair), signal.SIGKILL)
    pair.supervisor and pair.supervisor.wait()
    try:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not even what it left behind holds it
    finally:
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        os.close(again)
        peer.close()


def test_only_the_gate_may_speak_to_it(pair: DesktopPair) -> None:
    if os.getuid() != 0:
        pytest.skip("root may always speak, somebody else has to be made")
    pair.start_desktop(gate_uid=12345)
    root = Peer(pair)
    root.hear("state")
    root.close()
    pair.folder.chmod(0o755)
    (pair.sockets / "supervisor.sock").chmod(0o666)
    assert _as_uid(54321, pair.sockets / "supervisor.sock") == b""
    assert b"hello" in _as_uid(12345, pair.sockets / "supervisor.sock")


def _as_uid(uid: int, path: Path) -> bytes:
    """Connect as another user and return what is said first."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setuid(uid)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            os.write(write, connection.recv(1000))
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read, "rb") as file:
        return file.read()


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", bytes(7), protocol.say("stop", id=1), b"\xff" * 20]
)
def test_rubbish_on_its_socket_is_let_go(pair: DesktopPair, said: bytes) -> None:
    pair.start_desktop(programs=[])
    peer = Peer(pair)
    peer.hear("drawn")
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(10)
        other.connect(str(pair.sockets / "supervisor.sock"))
        other.sendall(said)
        while other.recv(1000):
            pass
    assert peer.ask("dance")["ok"] is False  # it is well, and did not stop
    peer.close()


def test_a_wrong_configuration_has_its_own_exit_code(pair: DesktopPair) -> None:
    pair.start_desktop(display={"width": 5})
    assert pair.supervisor is not None
    assert pair.supervisor.wait(10) == 78
    assert "display.width" in pair.log("supervisor")


def test_a_missing_x_server_has_its_own_exit_code(
    pair: DesktopPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    pair.start_desktop()
    assert pair.supervisor is not None
    assert pair.supervisor.wait(10) == 69
    assert "Xvnc is not installed" in pair.log("supervisor")


async def test_windows_are_brought_back_when_the_screen_becomes_smaller(pair: DesktopPair) -> None:
    corner = ["xterm", "-T", "Corner", "-geometry", "80x24-5-5"]
    programs = [{"name": "Corner", "command": corner, "autostart": True}]
    pair.start_desktop(display={"width": 1280, "height": 900}, programs=programs)
    pair.start_gate()
    await asyncio.to_thread(pair.wait_healthy)
    viewer = await pair.view()
    # Its window reaches to the corner; then the corner is elsewhere.
    viewer.resize(700, 500)
    environment = _environment_of_a_program(pair)
    until = time.monotonic() + 20
    while True:
        place = await asyncio.to_thread(_frame_of, "Corner", environment)
        left, top, right, bottom = place
        if left >= 0 and top >= 0 and right <= 700 and bottom <= 500:
            break
        assert time.monotonic() < until, place
        await viewer.settle()
        await asyncio.sleep(0.1)
    viewer.close()


def _environment_of_a_program(pair: DesktopPair) -> dict[str, str]:
    pid = children(pid_of(pair))["openbox"]
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(word.decode().split("=", 1) for word in words if b"=" in word)


def _frame_of(title: str, environment: dict[str, str]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a window with its frame."""
    command = ["xwininfo", "-frame", "-name", title]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in told.stdout.splitlines())
    }
    if "Width" not in found:
        return (-1, -1, -1, -1)
    x, y = int(found["Absolute upper-left X"]), int(found["Absolute upper-left Y"])
    return x, y, x + int(found["Width"]), y + int(found["Height"])
