"""A session's network: a namespace with rules in it, and the program that carries what passes.

slirp4netns ends on its own when the desktop does: it watches a named pipe whose only writer
is the desktop's supervisor. So it needs no one to remember it.
"""

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import Final

from porthole_agent.files import is_locked, kill_holders, take_lock
from porthole_agent.runtimes.local.processes import CommandFailed, run, run_with

_READY_WITHIN: Final = 10.0
_GONE_WITHIN: Final = 3.0


class Network:
    """The network of one session, in its folder."""

    def __init__(self, folder: Path) -> None:
        self.namespace = folder / "netns"
        self.pipe = folder / "alive"
        self.lock = folder / "network.lock"
        self._log = folder / "network.log"

    def is_there(self) -> bool:
        """Whether its namespace exists."""
        return os.path.ismount(self.namespace)

    def is_carried(self) -> bool:
        """Whether its slirp4netns lives."""
        return is_locked(self.lock)

    async def make(self, rules: str) -> None:
        """Make the namespace with its loopback up and its rules in force.

        Raises:
            CommandFailed: the rules could not be loaded; nothing may run there.
        """
        self.namespace.touch(mode=0o600)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.pipe, 0o600)
        await run(
            "unshare",
            f"--net={self.namespace}",
            *("sh", "-c", "ip link set lo up && exec nft -f -"),
            given=rules,
        )

    def hold(self) -> int:
        """Return the writing end of the pipe, to be held by the desktop."""
        return os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    async def carry(self) -> None:
        """Start slirp4netns; returns when the namespace has its way out.

        Raises:
            CommandFailed: it did not come up.
        """
        lock = take_lock(self.lock)
        if lock is None:
            return
        ready, tell = os.pipe2(os.O_CLOEXEC)
        watched = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            # setsid forks: nobody here has to wait for it, and it outlives us.
            await run_with(
                [
                    *("setsid", "--fork", "slirp4netns", "--configure", "--mtu=65520"),
                    *("--disable-host-loopback", "--enable-sandbox", "--enable-seccomp"),
                    *("--exit-fd=3", "--ready-fd=4", "--netns-type=path"),
                    *(str(self.namespace), "tap0"),
                ],
                (watched, tell, lock),
                log,
            )
            os.close(tell)
            tell = -1
            async with asyncio.timeout(_READY_WITHIN):
                said = await _read(ready)
        except TimeoutError:
            said = b""
        finally:
            for fd in (lock, watched, log, *((tell,) if tell >= 0 else ())):
                os.close(fd)
        if said != b"1":
            raise CommandFailed("slirp4netns", 1, self._log.read_text(errors="replace"))

    async def remove(self) -> None:
        """Remove the namespace; slirp4netns is killed if it has not ended on its own."""
        until = asyncio.get_running_loop().time() + _GONE_WITHIN
        while self.is_carried():
            if asyncio.get_running_loop().time() > until:
                kill_holders(self.lock)
            await asyncio.sleep(0.01)
        if self.is_there():
            await run("umount", str(self.namespace))
        for path in (self.namespace, self.pipe, self.lock):
            path.unlink(missing_ok=True)


async def this_machines_addresses() -> list[str]:
    """Return the addresses that this machine has, its loopback and link-local ones left out."""
    shown = json.loads(await run("ip", "-j", "address", "show") or "[]")
    return [
        address["local"]
        for interface in shown
        for address in interface.get("addr_info", ())
        if address.get("scope") == "global" and "local" in address
    ]


async def _read(fd: int) -> bytes:
    """Read once from a pipe, without a thread that a dead writer could hold up."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(fd, readable.set)
    try:
        await readable.wait()
        return os.read(fd, 16)
    finally:
        loop.remove_reader(fd)
        os.close(fd)
