"""Programs run in a desktop through its gate: what they say, how they end, that they do end."""

import asyncio
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.desktop_pair import DesktopPair, NotAdmitted
from tests.support.talking import Fault, Talker


@pytest.fixture(scope="module")
def pair() -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        made.start_desktop()
        made.start_gate(limits={"programs": 3})
        try:
            made.wait_healthy()
            yield made
        finally:
            made.stop()


@pytest.fixture(autouse=True)
async def _closed(pair: DesktopPair) -> AsyncIterator[None]:
    yield
    await pair.close_streams()


async def program(pair: DesktopPair) -> Talker:
    until = time.monotonic() + 10
    while True:  # one that a test before has left is gone a moment later
        try:
            return await Talker.open(pair, "exec")
        except NotAdmitted:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)


async def gone(pid: int) -> None:
    until = time.monotonic() + 15
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until, f"{pid} lives on"
        await asyncio.sleep(0.05)


async def test_a_program_runs_as_one_of_the_desktop(pair: DesktopPair) -> None:
    run = await program(pair)
    script = 'echo "$DISPLAY $WORD"; pwd; echo oh >&2; exit 3'
    ran = await run.run("sh", "-c", script, env={"WORD": "häß"})
    first, folder = ran.out.decode().splitlines()
    assert re.fullmatch(r":[0-9]+ häß", first)
    assert folder == str(pair.home)
    assert (bytes(ran.err), ran.end["status"], ran.end["timed_out"]) == (b"oh\n", 3, False)


async def test_megabytes_go_in_and_come_out_again(pair: DesktopPair) -> None:
    data = os.urandom(5 * 2**20)
    ran = await (await program(pair)).run("cat", given=data)
    assert ran.out == data
    assert ran.end["status"] == 0


async def test_what_a_slow_reader_has_not_read_is_not_lost(pair: DesktopPair) -> None:
    run = await program(pair)
    run.say("run", command=["sh", "-c", "head -c 3000000 /dev/zero"])
    await run.answer()
    await asyncio.sleep(1.5)
    size = 0
    while (frame := await run.hear()).number == 1:
        size += len(frame.payload)
    assert (size, frame.message()["status"]) == (3_000_000, 0)


async def test_what_stays_behind_keeps_nobody_waiting(pair: DesktopPair) -> None:
    ran = await (await program(pair)).run("sh", "-c", "sleep 60 & echo $!")
    assert ran.end["status"] == 0
    os.kill(int(ran.out), 9)


async def test_a_program_whose_time_is_up_is_ended(pair: DesktopPair) -> None:
    ran = await (await program(pair)).run("sh", "-c", "echo $$; sleep 600", seconds=0.5)
    assert (ran.end["status"], ran.end["timed_out"]) == (-15, True)
    await gone(int(ran.out))


async def test_a_program_ends_with_its_stream_even_if_it_will_not(pair: DesktopPair) -> None:
    run = await program(pair)
    run.say("run", command=["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"])
    await run.answer()
    pid = int((await run.hear()).payload)
    run.close()
    await gone(pid)


async def test_one_that_never_reads_its_input_ends_with_its_stream(pair: DesktopPair) -> None:
    run = await program(pair)
    run.say("run", command=["sleep", "600"])
    pid = (await run.answer())["pid"]
    sending = asyncio.create_task(run.carry(0, bytes(4 * 2**20)))
    await asyncio.sleep(0.3)
    sending.cancel()
    run.close()
    await gone(pid)


async def test_signals_reach_it(pair: DesktopPair) -> None:
    run = await program(pair)
    run.say("run", command=["sleep", "600"])
    await run.answer()
    run.say("signal", number=2)
    assert (await run.answer())["status"] == -2


async def test_one_that_is_not_read_holds_up_nobody_else(pair: DesktopPair) -> None:
    slow = await program(pair)
    slow.say("run", command=["yes"])
    await slow.answer()
    await asyncio.sleep(0.3)
    ran = await (await program(pair)).run("echo", "here")
    assert ran.out == b"here\n"
    files = await Talker.open(pair, "files")
    assert await files.list() is not None
    client = await pair.view()
    await client.settle(0.2)
    client.close()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"command": []}, "invalid_command"),
        ({"command": "ls"}, "invalid_command"),
        ({"command": ["a\0b"]}, "invalid_command"),
        ({"command": ["ls"], "env": {"A=B": "x"}}, "invalid_env"),
        ({"command": ["ls"], "seconds": -1}, "invalid_seconds"),
        ({"command": ["/nowhere/at/all"]}, "not_started"),
        ({"command": ["ls"], "cwd": "/nowhere"}, "not_started"),
        ({"command": ["/"]}, "not_started"),
    ],
)
async def test_what_cannot_be_run_is_said(
    pair: DesktopPair, asked: dict[str, object], code: str
) -> None:
    run = await program(pair)
    run.say("run", **asked)
    with pytest.raises(Fault) as caught:
        await run.answer()
    assert caught.value.code == code


async def test_there_is_a_limit_and_it_is_said(pair: DesktopPair) -> None:
    runs = [await program(pair) for _ in range(3)]
    for run in runs:
        run.say("run", command=["sleep", "600"])
        await run.answer()
    with pytest.raises(NotAdmitted) as caught:
        await Talker.open(pair, "exec")
    assert caught.value.code == "too_many_exec"


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff\0\0\1",
        b"\0\0\0\2\0\0\1[]",
        b"\0\0\0\1\0\1\1x",
        b"\0\0\0\0\0\0\3",
        b"\0\0\0\0\0\0\x09",
        b"\0\0\0\x10\0\0\1" + b'{"type":"stop"}\n',
    ],
)
async def test_nonsense_ends_one_stream_or_is_refused(pair: DesktopPair, sent: bytes) -> None:
    run = await program(pair)
    run.writer.write(sent)
    with pytest.raises((EOFError, Fault)):
        await run.answer()
    assert (await (await program(pair)).run("true")).end["status"] == 0
