"""Homes: a filesystem of limited size in a file, held by one desktop at a time.

The file is sparse, so an empty home costs next to nothing. Its lock is held by the desktop
that has it mounted, and by nobody else: when that is gone, so is the lock, and the mount,
and the loop device.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import stat
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from porthole_agent.files import (
    is_locked,
    remove_tree,
    sync_directory,
    take_lock,
    write_whole,
)
from porthole_agent.runtimes.local.processes import CommandFailed, run
from porthole_agent.runtimes.local.record import HomeRecord
from porthole_contract.errors import PortholeError

_RECORD: Final = "record.json"
_IMAGE: Final = "image.ext4"
_LOOP_MAJOR: Final = 7
_LOOP_CONTROL: Final = Path("/dev/loop-control")
_LOOP_CTL_GET_FREE: Final = 0x4C82
_LOOP_GET_STATUS64: Final = 0x4C05
_LOOP_INFO64_SIZE: Final = 232
_DETACHED_WITHIN: Final = 15.0
_KEPT_FREE: Final = 512 * 2**20
"""Bytes of the machine's disk below which no new home is made."""


class HomeHeld(PortholeError):
    """Another desktop has the home."""

    code = "home_in_use"


class Homes:
    """All homes of this runtime, by their ids and by (owner, display name)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records: dict[UUID, HomeRecord] = {}

    def open(self) -> None:
        """Read the records; a home whose making was cut short is removed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            try:
                record = HomeRecord.model_validate_json((path / _RECORD).read_bytes())
            except FileNotFoundError:
                remove_tree(path)
                continue
            self._records[record.home] = record

    def all(self) -> list[HomeRecord]:
        """Return every home."""
        return list(self._records.values())

    def get(self, home: UUID) -> HomeRecord | None:
        """Return one home, or None."""
        return self._records.get(home)

    def find(self, owner: str, name: str) -> HomeRecord | None:
        """Return the home that `owner` calls `name`, or None."""
        for record in self._records.values():
            if record.owner == owner and record.name == name:
                return record
        return None

    def create(
        self, owner: str, name: str, *, uid: int, size: int, home: UUID | None = None
    ) -> HomeRecord:
        """Make a home; its filesystem is made when it is first used."""
        record = HomeRecord(
            home=home or uuid4(),
            owner=owner,
            name=name,
            uid=uid,
            size=size,
            created_at=datetime.now(UTC),
        )
        path = self._folder / str(record.home)
        path.mkdir(mode=0o700, exist_ok=True)
        write_whole(path / _RECORD, record.model_dump_json().encode())
        sync_directory(self._folder)
        self._records[record.home] = record
        return record

    def image(self, home: UUID) -> Path:
        """Return the file of a home's filesystem."""
        return self._folder / str(home) / _IMAGE

    def used(self, home: UUID) -> int:
        """Return how many bytes of this machine's disk a home takes."""
        try:
            return self.image(home).stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    def delete(self, home: UUID) -> None:
        """Remove a home and the files in it.

        Raises:
            HomeHeld: a desktop has it.
        """
        if is_locked(self.image(home)):
            raise HomeHeld("The home is in use by a desktop.")
        remove_tree(self._folder / str(home))
        self._records.pop(home, None)


async def make_image(image: Path, size: int, uid: int) -> None:
    """Make the filesystem of a home, owned by `uid`, with what new users get in theirs.

    Raises:
        CommandFailed: it could not be made.
    """
    if await asyncio.to_thread(image.exists):
        return
    free = shutil.disk_usage(image.parent).free
    if free < _KEPT_FREE:
        raise CommandFailed("mkfs.ext4", 1, f"only {free // 2**20} MiB of disk are left")
    new, seed = image.with_suffix(".new"), image.with_suffix(".seed")
    await asyncio.to_thread(_seed, seed, uid)
    try:
        with new.open("wb") as file:
            file.truncate(size)
        new.chmod(0o600)
        options = f"root_owner={uid}:{uid},lazy_itable_init=1,lazy_journal_init=1,nodiscard"
        await run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", options, "-d", str(seed), str(new))
        # A person does not want to find this in their home; e2fsck makes one when it needs it.
        await run("debugfs", "-w", "-R", "rmdir lost+found", str(new))
    finally:
        remove_tree(seed)
    new.rename(image)
    sync_directory(image.parent)


def _seed(seed: Path, uid: int) -> None:
    remove_tree(seed)
    seed.mkdir(mode=0o700)
    skeleton = Path("/etc/skel")
    if skeleton.is_dir():
        shutil.copytree(skeleton, seed, symlinks=True, dirs_exist_ok=True)
    os.chown(seed, uid, uid)
    for folder, names, files in os.walk(seed):
        for name in (*names, *files):
            os.chown(Path(folder) / name, uid, uid, follow_symlinks=False)
    seed.chmod(0o700)


def hold(image: Path) -> int:
    """Return a descriptor that holds the home.

    Raises:
        HomeHeld: another desktop has it.
    """
    fd = take_lock(image)
    if fd is None:
        raise HomeHeld("The home is in use by another desktop of this machine.")
    return fd


async def attach(image: Path) -> str:
    """Return a block device with the home's filesystem, checked; the caller holds the home.

    Raises:
        CommandFailed: the filesystem is damaged, or there is no loop device.
    """
    await detach(image)
    await run("e2fsck", "-p", str(image), accept=(0, 1, 2), within=600)
    for _ in range(10):
        device = await asyncio.to_thread(_free_device)
        try:
            await run("losetup", "--nooverlap", device, str(image))
        except CommandFailed:
            # Somebody else was quicker with this one.
            await asyncio.sleep(0.02)
            continue
        return device
    raise CommandFailed("losetup", 1, "no loop device could be had")


async def let_go(device: str) -> None:
    """Have the kernel free a device as soon as nothing has it mounted."""
    await run("losetup", "--detach", device)


async def detach(image: Path) -> None:
    """Return when no loop device has the file any more.

    Raises:
        CommandFailed: one still has it.
    """
    until = asyncio.get_running_loop().time() + _DETACHED_WITHIN
    pause = 0.005
    while devices := attached(image):
        if asyncio.get_running_loop().time() > until:
            raise CommandFailed("losetup", 1, f"{image} is still attached to {devices[0]}")
        for device in devices:
            with contextlib.suppress(CommandFailed):
                await let_go(device)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.2)


def is_left(image: Path) -> bool:
    """Whether a loop device has the file and no desktop holds it.

    What is held is somebody's: another session may have the home by now.
    """
    return bool(attached(image)) and not is_locked(image)


def attached(image: Path) -> list[str]:
    """Return the loop devices that have the file, whatever its name is to whom."""
    try:
        wanted = image.stat()
    except FileNotFoundError:
        return []
    found = []
    for busy in Path("/sys/block").glob("loop*/loop"):
        device = Path("/dev") / busy.parent.name
        with contextlib.suppress(OSError):
            if _backing(device) == (wanted.st_dev, wanted.st_ino):
                found.append(str(device))
    return found


def _backing(device: Path) -> tuple[int, int]:
    """Return (device number, inode) of the file behind a loop device."""
    _make_node(device, stat.S_IFBLK | 0o600, os.makedev(_LOOP_MAJOR, int(device.name[4:])))
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        info = fcntl.ioctl(fd, _LOOP_GET_STATUS64, bytes(_LOOP_INFO64_SIZE))
    finally:
        os.close(fd)
    number, inode = struct.unpack_from("=QQ", info)
    return number, inode


def _free_device() -> str:
    """Return a loop device that nobody uses; makes its node where nothing else does."""
    _make_node(_LOOP_CONTROL, stat.S_IFCHR | 0o600, os.makedev(10, 237))
    control = os.open(_LOOP_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
    finally:
        os.close(control)
    device = Path(f"/dev/loop{number}")
    _make_node(device, stat.S_IFBLK | 0o600, os.makedev(_LOOP_MAJOR, number))
    return str(device)


def _make_node(path: Path, mode: int, device: int) -> None:
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            os.mknod(path, mode, device)
