"""Real desktops on this machine: begun, looked at, lost, put to sleep, deleted.

Each test has a runtime of its own, and ends with nothing of it left.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from porthole_agent.runtimes.local import keeper
from porthole_agent.runtimes.local.containers import cgroup_folders
from porthole_agent.runtimes.local.homes import attached
from porthole_agent.runtimes.local.makers import container_name
from porthole_contract import configuration
from porthole_contract.conditions import Reason
from porthole_contract.errors import Refused
from porthole_contract.lifecycle import Phase
from porthole_contract.template import PinnedTemplate
from tests.support.desktop_pair import NotAdmitted
from tests.support.leftovers import Leftovers
from tests.support.local_runtime import CANNOT, Place, a_runtime, the_desktop
from tests.support.talking import Talker

pytestmark = pytest.mark.skipif(bool(CANNOT), reason=f"no desktops here: {CANNOT}")


@pytest.fixture
def folder(tmp_path):
    before = Leftovers.of(tmp_path)
    yield tmp_path / "agent"
    left = Leftovers.of(tmp_path).new_since(before)
    assert not left, json.dumps(left, indent=1)


class AnHourAhead(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(hours=1)


async def test_a_clock_that_is_set_hurries_nobody(folder, monkeypatch):
    async with a_runtime(folder) as place:
        session = await place.create(lifetime="30m")
        await place.until(session, Phase.STARTING, Phase.RUNNING)
        monkeypatch.setattr(keeper, "datetime", AnHourAhead)
        running = await place.until(session, Phase.RUNNING)
        assert running.status.restarts == 0
        await asyncio.sleep(1)  # several looks
        still = await place.now(session)
        assert still is not None
        assert still.status.phase is Phase.RUNNING


async def test_a_desktop_is_drawn_typed_into_put_to_sleep_and_woken(folder):
    async with a_runtime(folder) as place:
        session = await place.create(home="work")
        running = await place.until(session, Phase.RUNNING)
        assert (running.status.reason, running.status.restarts) == (Reason.DRAWN, 0)
        assert running.status.home is not None

        viewer = await place.view(session)
        await viewer.refresh()
        colours = viewer.image().getcolors(1 << 24)
        assert colours is not None
        assert len(colours) > 20
        viewer.close()

        await _type(place, session, "echo it works > note.txt\n")
        await _until(lambda: "it works" in place.inside(session, "cat ~/note.txt").stdout)

        await place.apply(session, 2, home="work", desired="Hibernated")
        asleep = await place.until(session, Phase.HIBERNATED)
        assert asleep.status.gate is None
        left = Leftovers.of(folder)
        assert not left.cgroups
        assert not left.mounts
        assert not left.loops

        await place.apply(session, 3, home="work")
        await place.until(session, Phase.WAKING, Phase.RUNNING)
        await place.until(session, Phase.RUNNING)
        assert place.inside(session, "cat ~/note.txt").stdout == "it works\n"

        await place.runtime.delete(session, 4)
        assert place.seen[-1].status.phase is Phase.TERMINATED or (
            await place.until(session, Phase.TERMINATED)
        )
        home = running.status.home
        assert [h.home for h in (await place.runtime.inventory()).homes] == [home]
        await place.runtime.delete_home(home)
        assert not list((folder / "homes").iterdir())
        assert place.journal(session) == [
            ("started", 1, 0),
            ("stopped", 2, 0),
            ("started", 3, 0),
            ("ended", 3, 0),
        ]


@pytest.fixture
def lent():
    """Open streams to the files of sessions that sleep; all are closed at the end."""
    talkers = []

    async def files(place, session):
        fingerprint = await place.runtime.lend_files(session)
        talkers.append(Talker(*await place.stream(session, "files", fingerprint=fingerprint)))
        return talkers[-1]

    yield files
    for talker in talkers:
        talker.writer.transport.abort()


async def test_files_of_one_that_sleeps_are_there_and_its_start_comes_first(
    folder, lent, monkeypatch
):
    first = Place(folder)
    await first.open()
    session = await first.create(home="work")
    with pytest.raises(Refused) as refusal:
        await first.runtime.lend_files(session)
    assert refusal.value.code == "session_not_asleep"
    await first.until(session, Phase.RUNNING)
    await first.apply(session, 2, home="work", desired="Hibernated")
    await first.until(session, Phase.HIBERNATED)
    # Two at once find the same one; no screen, no network, and nothing but files.
    files, again = await asyncio.gather(lent(first, session), lent(first, session))
    await files.write("kept", b"x" * 3_000_000)
    assert len(await again.read("kept")) == 3_000_000
    assert not {"Xvnc", "openbox"} & set(first.processes(session))
    with pytest.raises(NotAdmitted) as denied:
        await first.stream(session, fingerprint=await first.runtime.lend_files(session))
    assert denied.value.code == "channel_not_served"
    found = await first.now(session)
    assert found is not None
    assert (found.status.phase, found.status.gate) == (Phase.HIBERNATED, None)
    await first.leave()

    async with a_runtime(folder) as place:
        # What an earlier agent had lent is taken back; and it ends by itself when nobody uses it.
        await _until(lambda: not Leftovers.of(folder).loops, 60)
        monkeypatch.setattr(configuration, "FILES_UNUSED", timedelta(seconds=6))
        files = await lent(place, session)
        assert len(await files.read("kept")) == 3_000_000
        await _until(lambda: not Leftovers.of(folder).loops, 60)
        assert await files.reader.read() == b""
        monkeypatch.undo()
        # A start meanwhile is not held up, and finds what was put in.
        files = await lent(place, session)
        await files.write("more", b"y")
        await place.apply(session, 3, home="work")
        await place.until(session, Phase.RUNNING)
        assert await files.reader.read() == b""
        assert place.inside(session, "cat ~/more; wc -c < ~/kept").stdout == "y3000000\n"
        assert [event for event, *_ in place.journal(session)] == ["started", "stopped", "started"]
        # Put to sleep and deleted while its files are used: nothing is left.
        await place.apply(session, 4, home="work", desired="Hibernated")
        await place.until(session, Phase.HIBERNATED)
        await lent(place, session)


async def test_what_runs_outlives_its_agent(folder):
    first = Place(folder)
    await first.open()
    session = await first.create()
    await first.until(session, Phase.RUNNING)
    before = first.processes(session)
    await first.leave()

    async with a_runtime(folder) as place:
        found = await place.until(session, Phase.RUNNING)
        assert (found.status.restarts, found.status.reason) == (0, Reason.DRAWN)
        assert place.processes(session)["Xvnc"] == before["Xvnc"]
        viewer = await place.view(session)
        await viewer.refresh()
        viewer.close()
        assert place.journal(session) == [("started", 1, 0)]


async def test_a_killed_desktop_is_begun_again_on_its_home(folder):
    async with a_runtime(folder) as place:
        session = await place.create(home="work")
        await place.until(session, Phase.RUNNING)
        place.inside(session, "echo kept > ~/note.txt; sync")
        os.kill(place.processes(session)["Xvnc"], signal.SIGKILL)
        lost = await place.until(session, Phase.STARTING)
        assert (lost.status.restarts, lost.status.reason) == (1, Reason.DESKTOP_LOST)
        await place.until(session, Phase.RUNNING)
        assert place.inside(session, "cat ~/note.txt").stdout == "kept\n"
        assert place.journal(session) == [("started", 1, 0), ("lost", 1, 0), ("started", 1, 1)]


async def test_a_killed_supervisor_takes_all_of_the_desktop_with_it(folder):
    async with a_runtime(folder) as place:
        session = await place.create()
        await place.until(session, Phase.RUNNING)
        before = place.processes(session)
        os.kill(min(before.values()), signal.SIGKILL)
        await place.until(session, Phase.STARTING)
        found = await place.until(session, Phase.RUNNING)
        assert found.status.restarts == 1
        assert not set(place.processes(session).values()) & set(before.values())


async def test_it_has_ended_only_when_its_cgroup_is_gone(folder):
    """What was killed may need its time to go; runc has forgotten it by then."""
    async with a_runtime(folder) as place:
        session = await place.create()
        await place.until(session, Phase.RUNNING)
        first = min(place.processes(session).values())
        cgroups = cgroup_folders(container_name(session, "desktop"))
        slow = await asyncio.create_subprocess_exec("sleep", "60")
        for cgroup in cgroups:
            (cgroup / "cgroup.procs").write_text(str(slow.pid))

        async def goes_at_last():
            while Path(f"/proc/{first}").exists():
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.5)
            slow.kill()
            await slow.wait()

        going = asyncio.create_task(goes_at_last())
        await place.runtime.delete(session, 2)
        await place.until(session, Phase.TERMINATED)
        assert not any(cgroup.exists() for cgroup in cgroups)
        await going


@pytest.mark.parametrize("what", ["gate", "network"])
async def test_what_dies_beside_a_desktop_is_mended_and_its_windows_stay(folder, what):
    async with a_runtime(folder) as place:
        session = await place.create()
        await place.until(session, Phase.RUNNING)
        before = place.processes(session)["Xvnc"]
        if what == "gate":
            for pid in place.processes(session, "gate").values():
                os.kill(pid, signal.SIGKILL)
        else:
            for pid, _ in _network_programs(folder):
                os.kill(pid, signal.SIGKILL)
        await _until(lambda: (f"{what}_mended", 1, 0) in place.journal(session))
        await place.until(session, Phase.RUNNING)
        viewer = await _viewed(place, session)
        viewer.close()
        assert _network_programs(folder)
        assert place.processes(session)["Xvnc"] == before
        found = await place.now(session)
        assert found is not None
        assert found.status.restarts == 0


async def test_a_fresh_start_ends_what_was_left_and_begins_it_again(folder):
    first = Place(folder)
    await first.open()
    running, asleep = await first.create(name="one"), await first.create(name="two")
    await first.until(running, Phase.RUNNING)
    await first.until(asleep, Phase.RUNNING)
    await first.apply(asleep, 2, name="two", desired="Hibernated")
    await first.until(asleep, Phase.HIBERNATED)
    before = set(first.processes(running).values())
    await first.leave()

    async with a_runtime(folder, fresh=True) as place:
        found = await place.until(running, Phase.RUNNING)
        assert found.status.restarts == 1
        told = [(o.status.phase, o.status.reason) for o in place.seen if o.session == running]
        assert (Phase.STARTING, Reason.WINDOWS_LOST) in told
        assert not before & set(place.processes(running).values())
        still = await place.now(asleep)
        assert still is not None
        assert (still.status.phase, still.status.restarts) == (Phase.HIBERNATED, 0)


@pytest.mark.parametrize("deleted_at_once", [False, True])
async def test_after_a_power_cut_it_is_begun_again_or_deleted(folder, deleted_at_once):
    first = Place(folder)
    await first.open()
    session = await first.create(home="work")
    await first.until(session, Phase.RUNNING)
    await first.leave()
    await asyncio.to_thread(_cut_power, folder)

    async with a_runtime(folder) as place:
        told = await place.now(session)
        assert told is not None
        assert (told.status.phase, told.status.restarts) == (Phase.STARTING, 1)
        if deleted_at_once:
            await place.runtime.delete(session, 2)
            assert await place.now(session) is None
        else:
            await place.until(session, Phase.RUNNING)


async def test_stopping_ends_every_process_and_keeps_every_session(folder):
    place = Place(folder)
    await place.open()
    session = await place.create(home="work")
    await place.until(session, Phase.RUNNING)
    await place.runtime.stop_all()
    left = Leftovers.of(folder)
    assert not left.processes
    assert not left.mounts
    assert not left.cgroups
    assert not left.loops
    async with a_runtime(folder) as again:
        found = await again.until(session, Phase.RUNNING)
        assert found.status.restarts == 1
        assert again.journal(session)[-1] == ("started", 1, 1)


async def test_who_finds_no_room_waits_and_goes_on_by_itself(folder):
    async with a_runtime(folder, max_sessions=1) as place:
        first = await place.create(name="one")
        await place.until(first, Phase.STARTING, Phase.RUNNING)
        second = await place.create(name="two")
        await place.until(first, Phase.RUNNING)
        waiting = await place.until(second, Phase.PENDING, reason=Reason.NO_CAPACITY)
        assert "1 places" in waiting.status.message
        await place.runtime.delete(first, 2)
        await place.until(second, Phase.RUNNING)


async def test_a_home_is_held_by_one_session_at_a_time(folder):
    async with a_runtime(folder) as place:
        first = await place.create(name="one", home="work")
        await place.until(first, Phase.RUNNING)
        second = await place.create(name="two", home="work")
        waiting = await place.until(second, Phase.PENDING, reason=Reason.HOME_IN_USE)
        assert "'one'" in waiting.status.message
        other = await place.create(name="three", owner="bob", home="work")
        await place.until(other, Phase.RUNNING)
        homes = (await place.runtime.inventory()).homes
        mine = next(h for h in homes if h.owner == "alice")
        assert mine.holder == first
        with pytest.raises(Refused, match="'one'"):
            await place.runtime.delete_home(mine.home)
        await place.runtime.delete(first, 2)
        await place.until(second, Phase.RUNNING)


async def test_orders_that_come_late_change_nothing(folder):
    async with a_runtime(folder) as place:
        session = await place.create(desired="Hibernated")
        await place.until(session, Phase.HIBERNATED)
        await place.apply(session, 3, desired="Hibernated")
        await place.apply(session, 2)
        found = await place.now(session)
        assert found is not None
        assert (found.order, found.spec.desired) == (3, "Hibernated")
        await place.runtime.delete(session, 2)
        assert await place.now(session) is not None
        await place.runtime.delete(session, 4)
        await place.apply(session, 3)
        await place.runtime.delete(session, 4)
        assert await place.now(session) is None
        ended = (await place.runtime.inventory()).ended
        assert [(e.session, e.order, e.reason) for e in ended] == [(session, 4, "Requested")]


async def test_a_session_is_changed_by_who_does_not_know_its_template(folder):
    unknown = PinnedTemplate(name="desktop", revision=1, digest="0" * 64)
    async with a_runtime(folder) as place:
        session = await place.create(desired="Hibernated", template=the_desktop(title="Mine"))
        await place.until(session, Phase.HIBERNATED)
        await place.apply(session, 2, desired="Hibernated", labels={"a": "b"}, pinned=unknown)
        found = await place.now(session)
        assert found is not None
        assert (found.order, found.spec.labels) == (2, {"a": "b"})
        with pytest.raises(Refused, match="not known here"):
            await place.apply(uuid4(), 1, name="two", desired="Hibernated", pinned=unknown)


async def test_nobody_uses_it_so_it_sleeps_and_at_last_it_ends(folder):
    async with a_runtime(folder) as place:
        idle = await place.create(name="one", idle={"after": "1s"})
        short = await place.create(name="two", lifetime="3s")
        asleep = await place.until(idle, Phase.HIBERNATED)
        assert (asleep.order, asleep.spec.desired) == (1, "Hibernated")
        assert asleep.status.reason == Reason.IDLE
        ended = await place.until(short, Phase.TERMINATED)
        assert ended.status.reason == Reason.LIFETIME_OVER


async def test_a_template_that_cannot_be_run_here_says_what_is_missing(folder):
    async with a_runtime(folder) as place:
        template = the_desktop(packages=["no-such-package", "openbox"])
        session = await place.create(template=template)
        found = await place.until(session, Phase.PENDING, reason=Reason.TEMPLATE_NOT_OFFERED)
        assert found.status.message.endswith("apt-get install no-such-package")


async def test_a_second_agent_on_the_same_folder_is_refused(folder):
    async with a_runtime(folder):
        with pytest.raises(Refused, match="already"):
            await Place(folder).open()


async def test_a_gate_that_is_not_the_gate_is_refused(folder):
    async with a_runtime(folder) as place:
        session = await place.create()
        await place.until(session, Phase.RUNNING)
        keeper = place.runtime._keepers[session]
        keeper.record = keeper.record.evolve(fingerprint="0" * 64)
        with pytest.raises(Refused, match="not the gate"):
            await place.runtime.connect_gate(session)
        gate = keeper.stage.gate_folder
        (gate / "gate.sock").rename(gate / "other.sock")
        (gate / "gate.sock").symlink_to("other.sock")
        with pytest.raises(Refused, match="not its socket"):
            await place.runtime.connect_gate(session)


async def test_a_filesystem_that_was_not_unmounted_is_checked_and_used(folder):
    small = {"limits": {"storage": "64Mi"}}
    async with a_runtime(folder) as place:
        session = await place.create(home="work", resources=small)
        await place.until(session, Phase.RUNNING)
        home = (await place.runtime.inventory()).homes[0]
        image = folder / "homes" / str(home.home) / "image.ext4"
        assert len(attached(image)) == 1
        mounted = image.read_bytes()
        await place.apply(session, 2, home="work", desired="Hibernated", resources=small)
        await place.until(session, Phase.HIBERNATED)
        # As after a power cut: the filesystem says that it is mounted.
        image.write_bytes(mounted)
        await place.apply(session, 3, home="work", resources=small)
        await place.until(session, Phase.RUNNING)


def _cut_power(folder):
    """Leave of a runtime what a machine has after it was switched off: its files."""
    while processes := Leftovers.of(folder).processes:
        for pid, _ in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    left = Leftovers.of(folder)
    for mount in left.mounts:
        subprocess.run(["umount", mount], check=True)
    until = time.monotonic() + 30
    for cgroup in left.cgroups:
        # Who was killed is in it until its parent has heard of that.
        while Path(cgroup).exists():
            assert time.monotonic() < until
            with contextlib.suppress(OSError):
                Path(cgroup).rmdir()
            time.sleep(0.02)


async def _viewed(place, session):
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(Refused, OSError, EOFError):
                viewer = await place.view(session)
                await viewer.refresh()
                return viewer
            await asyncio.sleep(0.1)


async def _type(place, session, text):
    """Type into the terminal, which has the keyboard once it has been clicked."""
    viewer = await place.view(session)
    await viewer.settle()
    viewer.click(viewer.width // 2, viewer.height // 2)
    await viewer.settle()
    viewer.type(text)
    await viewer.settle()
    viewer.close()


async def _until(true, seconds=15):
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.1)


def _network_programs(folder):
    return [p for p in Leftovers.of(folder).processes if p[1].startswith("slirp4netns")]
