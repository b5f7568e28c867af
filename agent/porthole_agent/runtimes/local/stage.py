"""The effects of one session on this machine: set up in order, taken down in order.

Every step can be taken again after a kill: what is there already is kept or made anew, what
is gone already is passed over. The desktop and the gate hold locks of the session's folder;
that they are held is what it means to be alive.
"""

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from porthole_agent.failpoints import failpoint
from porthole_agent.files import (
    is_locked,
    kill_holders,
    remove_tree,
    take_lock,
    write_whole,
)
from porthole_agent.runtimes.local import homes
from porthole_agent.runtimes.local.certificate import make_certificate
from porthole_agent.runtimes.local.containers import Runc, remove_cgroups
from porthole_agent.runtimes.local.egress import ruleset
from porthole_agent.runtimes.local.makers import (
    SHARED_SIZE,
    Places,
    container_name,
    desktop_container,
    desktop_identity,
    gate_config,
    gate_container,
    gate_identity,
    shelf_config,
    shelf_container,
    shelf_identity,
    supervisor_config,
)
from porthole_agent.runtimes.local.network import Network, this_machines_addresses
from porthole_agent.runtimes.local.oci import Container, configuration
from porthole_agent.runtimes.local.ourselves import Ourselves
from porthole_agent.runtimes.local.processes import CommandFailed, run
from porthole_agent.runtimes.local.record import Record
from porthole_agent.runtimes.local.rootfs import Identity, Tree, desktop_root, etc_names, gate_root
from porthole_contract.effective import Effective
from porthole_contract.stream.grant import SigningKey
from porthole_contract.template import EgressMode

_CACHES: Final = ("/var/cache/fontconfig", "/var/lib/ghostscript")
_GATE_PATIENCE: Final = 2.0
_KILLED_WITHIN: Final = 5.0
_LOG_KEPT: Final = 256 * 1024
"""Bytes at the end of a log that are kept when its filesystem goes."""


@dataclass(frozen=True, slots=True)
class House:
    """What all sessions of a runtime share."""

    runc: Runc
    ourselves: Ourselves
    key: SigningKey
    stop_seconds: int


class Stage:
    """One session's processes, mounts and files.

    Args:
        house: what it shares with others.
        folder: the session's own.
        record: which session.
    """

    def __init__(self, house: House, folder: Path, record: Record) -> None:
        self._house = house
        self._folder = folder
        self._desktop = container_name(record.session, "desktop")
        self._gate = container_name(record.session, "gate")
        self._network = Network(folder)
        self._desktop_lock = folder / "desktop.lock"
        self._gate_lock = folder / "gate.lock"
        self._shared = folder / "shared"
        self._private = folder / "private"
        self.gate_folder = self._private / "gate"

    # What is seen

    def desktop_lives(self) -> bool:
        """Whether the supervisor lives."""
        return is_locked(self._desktop_lock)

    def gate_lives(self) -> bool:
        """Whether the gate lives."""
        return is_locked(self._gate_lock)

    def network_lives(self, effective: Effective | None) -> bool:
        """Whether its way out is carried, or it has none."""
        if effective is None or effective.egress.mode is EgressMode.NONE:
            return True
        return self._network.is_carried()

    def remains(self, image: Path) -> bool:
        """Whether containers, mounts, a network namespace or a loop device of it are left."""
        runc = self._house.runc
        return (
            runc.knows(self._desktop)
            or runc.knows(self._gate)
            or self._network.is_there()
            or is_mounted(self._shared)
            or is_mounted(self._private)
            or homes.is_left(image)
        )

    def trusts(self, record: Record) -> bool:
        """Whether the gate's configuration is the one it would be given now."""
        try:
            text = (self._folder / "gate-config" / "config.json").read_bytes()
            there, wanted = json.loads(text), gate_config(record, self._house.key)
            # What its start was a part of makes it no other gate.
            return bool({**there, "traceparent": None} == {**wanted, "traceparent": None})
        except (OSError, ValueError):
            return False

    # Up

    def prepare(self, record: Record) -> str:
        """Return the fingerprint of its gate's certificate, which is made if there is none."""
        folder = self._folder / "gate-config"
        if record.fingerprint is not None and (folder / "cert.pem").exists():
            return record.fingerprint
        certificate, key, fingerprint = make_certificate(record.session)
        _make_folder(folder, record.gate_uid, 0o500)
        for name, data in (("cert.pem", certificate), ("key.pem", key)):
            write_whole(folder / name, data, 0o400)
            os.chown(folder / name, record.gate_uid, record.gate_uid)
        return fingerprint

    async def begin(
        self, record: Record, effective: Effective, image: Path, size: int, etc: tuple[str, ...]
    ) -> None:
        """Start everything that a session consists of; returns when its programs run.

        Args:
            record: the session.
            effective: what it comes to.
            image: the file of its home's filesystem.
            size: bytes of that filesystem, if it is made now.
            etc: names in /etc that its packages brought.

        Raises:
            PortholeError: some step failed; the caller clears.
            OSError: the same.
        """
        await homes.make_image(image, size, record.desktop_uid)
        failpoint("local.create.home-made")
        home = homes.hold(image)
        try:
            device = await homes.attach(image)
            failpoint("local.create.home-attached")
            await self._volumes(record)
            failpoint("local.create.volumes-mounted")
            places = self._places(device, etc)
            await self._begin_network(effective)
            # Both to their end, whatever becomes of the other: what has begun is cleared.
            done = await asyncio.gather(
                self._begin_gate(record, places),
                self._begin_desktop(record, effective, places, home),
                return_exceptions=True,
            )
            for failure in done:
                if failure is not None:
                    raise failure
            await homes.let_go(device)
        finally:
            os.close(home)
        failpoint("local.create.settled")

    async def lend(self, record: Record, image: Path) -> None:
        """Start what serves the files of a home that is there; returns when it runs.

        Raises:
            PortholeError: some step failed; the caller clears.
            OSError: the same.
        """
        home = homes.hold(image)
        try:
            device = await homes.attach(image)
            await self._volumes(record)
            places = self._places(device, ())
            done = await asyncio.gather(
                self._begin_gate(record, places, asleep=True),
                self._begin_shelf(record, places, home),
                return_exceptions=True,
            )
            for failure in done:
                if failure is not None:
                    raise failure
            await homes.let_go(device)
        finally:
            os.close(home)

    async def mend_gate(self, record: Record) -> None:
        """Start the gate again beside a running desktop."""
        await self._house.runc.remove(self._gate)
        for name in ("gate.sock", "health.sock"):
            (self.gate_folder / name).unlink(missing_ok=True)
        await self._begin_gate(record, self._places("", ()))

    async def mend_network(self) -> None:
        """Start the network's program again beside a running desktop."""
        await self._network.carry()

    async def _volumes(self, record: Record) -> None:
        for folder in (self._shared, self._private):
            if is_mounted(folder):
                continue
            folder.mkdir(mode=0o711, exist_ok=True)
            options = f"mode=0711,size={SHARED_SIZE},nr_inodes=512,nosuid,nodev,noexec"
            await run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
        sockets = self._shared / "sockets"
        _make_folder(sockets, record.desktop_uid, 0o2770, group=record.gate_uid)
        _make_folder(self.gate_folder, record.gate_uid, 0o700)

    def _places(self, device: str, etc: tuple[str, ...]) -> Places:
        folder = self._folder
        return Places(
            desktop_root=str(folder / "desktop-root"),
            gate_root=str(folder / "gate-root"),
            desktop_config=str(folder / "desktop-config"),
            gate_config=str(folder / "gate-config"),
            sockets=str(self._shared / "sockets"),
            gate_sockets=str(self.gate_folder),
            namespace=str(self._network.namespace),
            device=device,
            etc=tuple(name for name in etc_names(etc) if Path("/etc", name).exists()),
            caches=tuple(path for path in _CACHES if Path(path).is_dir()),
            open_files=min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        )

    def _write_desktop(self, record: Record, identity: Identity, mode: EgressMode) -> None:
        folder = self._folder
        _write_tree(folder / "desktop-root", desktop_root(identity, mode))
        _make_folder(folder / "desktop-config", record.desktop_uid, 0o500)

    def _tell_desktop(self, record: Record, config: dict[str, Any]) -> None:
        _give(self._folder / "desktop-config" / "config.json", config, record.desktop_uid)

    def _write_gate(self, record: Record, *, asleep: bool) -> None:
        folder = self._folder
        _write_tree(folder / "gate-root", gate_root(gate_identity(record)))
        _make_folder(folder / "gate-config", record.gate_uid, 0o500)
        config = gate_config(record, self._house.key, asleep=asleep)
        _give(folder / "gate-config" / "config.json", config, record.gate_uid)

    async def _begin_network(self, effective: Effective) -> None:
        if not self._network.is_there():
            mine = await this_machines_addresses()
            await self._network.make(ruleset(effective.egress, mine))
        failpoint("local.create.network-made")

    async def _begin_gate(self, record: Record, places: Places, *, asleep: bool = False) -> None:
        await asyncio.to_thread(self._write_gate, record, asleep=asleep)
        container = gate_container(record, places, self._house.ourselves)
        lock = _must(take_lock(self._gate_lock), "gate")
        log = _log(self._private / ("files.log" if asleep else "gate.log"))
        try:
            bundle = self._folder / "gate"
            bundle.mkdir(mode=0o700, exist_ok=True)
            await self._house.runc.start(self._gate, bundle, configuration(container), (lock,), log)
        finally:
            os.close(log)
            os.close(lock)
        failpoint("local.create.gate-started")

    async def _begin_desktop(
        self, record: Record, effective: Effective, places: Places, home: int
    ) -> None:
        lock = _must(take_lock(self._desktop_lock), "desktop")
        log = _log(self._shared / "desktop.log")
        alive = self._network.hold()
        try:
            if effective.egress.mode is not EgressMode.NONE:
                await self._network.carry()
            failpoint("local.create.network-started")
            identity, mode = desktop_identity(record, effective), effective.egress.mode
            await asyncio.to_thread(self._write_desktop, record, identity, mode)
            config = supervisor_config(record, effective, self._house.stop_seconds)
            await asyncio.to_thread(self._tell_desktop, record, config)
            keep = (lock, home, alive)
            ourselves = self._house.ourselves
            container = desktop_container(record, effective, places, ourselves, len(keep))
            await self._run_desktop(container, keep, log)
        finally:
            for fd in (alive, log, lock):
                os.close(fd)
        failpoint("local.create.desktop-started")

    async def _begin_shelf(self, record: Record, places: Places, home: int) -> None:
        lock = _must(take_lock(self._desktop_lock), "desktop")
        log = _log(self._shared / "files.log")  # the desktop's last words are not replaced
        try:
            identity = shelf_identity(record)
            await asyncio.to_thread(self._write_desktop, record, identity, EgressMode.NONE)
            await asyncio.to_thread(self._tell_desktop, record, shelf_config(record))
            keep = (lock, home)
            container = shelf_container(record, places, self._house.ourselves, len(keep))
            await self._run_desktop(container, keep, log)
        finally:
            for fd in (log, lock):
                os.close(fd)

    async def _run_desktop(self, container: Container, keep: tuple[int, ...], log: int) -> None:
        bundle = self._folder / "desktop"
        bundle.mkdir(mode=0o700, exist_ok=True)
        await self._house.runc.start(self._desktop, bundle, configuration(container), keep, log)

    # Down

    async def clear(self, image: Path, *, patience: bool) -> None:
        """Take down everything but the folder; returns when nothing of it runs.

        Args:
            image: its home.
            patience: let its programs end on their own first.

        Raises:
            PortholeError: something would not go; may be tried again.
        """
        if patience:
            await asyncio.gather(
                self._ask(self._gate, self.gate_lives, _GATE_PATIENCE),
                self._ask(self._desktop, self.desktop_lives, self._house.stop_seconds + 1.0),
            )
        await asyncio.to_thread(self._keep_logs)
        await self._end(self._desktop, self._desktop_lock)
        failpoint("local.delete.desktop-stopped")
        await self._end(self._gate, self._gate_lock)
        failpoint("local.delete.gate-stopped")
        await self._network.remove()
        failpoint("local.delete.network-removed")
        for folder in (self._shared, self._private):
            await _unmount(folder)
        failpoint("local.delete.volumes-removed")
        if homes.is_left(image):
            await homes.detach(image)
        failpoint("local.delete.home-detached")

    def remove(self) -> None:
        """Remove the folder; nothing runs any more."""
        remove_tree(self._folder)

    def logs(self) -> str:
        """Return the ends of the logs, of what runs or of what ran last."""
        parts = []
        for name, live in self._logs():
            for path in (live, self._folder / name):
                text = _tail(path)
                if text:
                    parts.append(f"==> {name} <==\n{text}")
                    break
        return "\n".join(parts)

    async def _ask(self, name: str, lives: Callable[[], bool], seconds: float) -> None:
        if not lives():
            return
        await self._house.runc.signal(name, signal.SIGTERM)
        await _until(lambda: not lives(), seconds)

    async def _end(self, name: str, lock: Path) -> None:
        await self._house.runc.remove(name)
        if not await _until(lambda: not is_locked(lock), _KILLED_WITHIN):
            kill_holders(lock)
            if not await _until(lambda: not is_locked(lock), _KILLED_WITHIN):
                raise CommandFailed("runc", 1, f"the processes of {name} do not end")
        if not await _until(lambda: remove_cgroups(name), _KILLED_WITHIN):
            raise CommandFailed("runc", 1, f"something still runs in the cgroup of {name}")

    def _logs(self) -> tuple[tuple[str, Path], ...]:
        return (
            ("desktop.log", self._shared / "desktop.log"),
            ("gate.log", self._private / "gate.log"),
        )

    def _keep_logs(self) -> None:
        for name, live in self._logs():
            text = _tail(live)
            if text:
                (self._folder / name).write_text(text)


def _must(lock: int | None, what: str) -> int:
    if lock is None:
        raise CommandFailed("flock", 1, f"the {what} of this session still runs")
    return lock


def _log(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_KEPT))
            return file.read(_LOG_KEPT).decode(errors="replace")
    except OSError:
        return ""


def is_mounted(folder: Path) -> bool:
    """Whether something is mounted there; a look at two inodes, no waiting."""
    return os.path.ismount(folder)


def _make_folder(path: Path, uid: int, mode: int, *, group: int | None = None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    os.chown(path, uid, uid if group is None else group)
    path.chmod(mode)


def _give(path: Path, value: object, uid: int) -> None:
    """Write JSON that only `uid` may read."""
    write_whole(path, json.dumps(value).encode(), 0o400)
    os.chown(path, uid, uid)


def _write_tree(root: Path, tree: Tree) -> None:
    """Write a container's root; a root that is there is what an earlier start wrote."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    for name in (*tree.files, *tree.links):
        for parent in reversed((root / name).relative_to(root).parents[:-1]):
            (root / parent).mkdir(mode=0o755, exist_ok=True)
            (root / parent).chmod(0o755)
    for name, text in tree.files.items():
        (root / name).write_text(text)
        (root / name).chmod(0o644)
    for name, target in tree.links.items():
        (root / name).symlink_to(target)


async def _unmount(folder: Path) -> None:
    for _ in range(20):
        if not is_mounted(folder):
            return
        with contextlib.suppress(CommandFailed):
            await run("umount", str(folder))
            continue
        await asyncio.sleep(0.05)
    # Somebody looks into it; it goes when they stop.
    await run("umount", "--lazy", str(folder))


async def _until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is true; False if it is not within `seconds`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    pause = 0.005
    while not true():
        if loop.time() > end:
            return False
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return True
