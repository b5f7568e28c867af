"""A large file into a home and out of it, beside `cp` and beside SFTP on the same machine."""

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from bench.figures import Figure
from bench.instance import Instance
from tests.support.ports import free_port

_SIZE = 512 * 2**20
_PIECE = 2**20
_TIMES = 3
_GOAL = 0.5
"""Of what SFTP does: that is one program talking to another, here three are between."""
_SSHD = "/usr/sbin/sshd"
_WITHIN = 120.0


async def measure(instance: Instance) -> list[Figure]:
    """Measure upload and download, in turns with `cp` and SFTP.

    Raises:
        FileNotFoundError: there is no `sshd` (Debian's `openssh-server`).
    """
    if not Path(_SSHD).exists():
        raise FileNotFoundError(f"There is no {_SSHD}: install openssh-server.")
    session = await instance.session(template="desktop")
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="porthole-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        source, copy = folder / "source", folder / "copy"
        await asyncio.to_thread(_fill, source)
        async with (
            _sftp(folder) as sftp,
            instance.porthole() as porthole,
            porthole.sessions.files(session) as files,
        ):

            async def note(what: str, does: Callable[[], Awaitable[object]]) -> None:
                begun = time.perf_counter()
                await does()
                rates.setdefault(what, []).append(_SIZE / 1e6 / (time.perf_counter() - begun))

            for _ in range(_TIMES):
                await note("cp", lambda: asyncio.to_thread(shutil.copyfile, source, copy))
                await note("upload", lambda: files.upload(source, "large"))
                await note("put", lambda: sftp(f"put {source} {copy}"))
                await note("download", lambda: files.download("large", copy))
                await note("get", lambda: sftp(f"get {source} {copy}"))
                await files.delete("large")
    middle = {what: median(found) for what, found in rates.items()}
    note_cp = f"`cp`: {middle['cp']:,.0f} MB/s"
    return [
        Figure(
            name=f"{what} of 512 MiB",
            value=middle[what],
            unit="MB/s",
            baseline=middle[theirs],
            against=f"SFTP's {theirs} on the same machine",
            better="more",
            goal=_GOAL,
            judged="ratio",
            note=note_cp,
        )
        for what, theirs in (("upload", "put"), ("download", "get"))
    ]


def _fill(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(_SIZE // _PIECE):
            file.write(os.urandom(_PIECE))


@asynccontextmanager
async def _sftp(folder: Path) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Run an SSH server of our own on the loopback; yield what carries out a line of `sftp`."""
    port = free_port()
    for name in ("host", "user"):
        await _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    settings = folder / "sshd_config"
    settings.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    server = await asyncio.create_subprocess_exec(_SSHD, "-D", "-e", "-f", str(settings))
    try:
        await _listens(port)

        async def carry_out(line: str) -> None:
            await _run(
                *("sftp", "-q", "-b", "-", "-P", str(port), "-i", str(folder / "user")),
                *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
                f"{getpass.getuser()}@127.0.0.1",
                said=line,
            )

        yield carry_out
    finally:
        server.terminate()
        await server.wait()


async def _run(*command: str, said: str = "") -> None:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet
    )
    async with asyncio.timeout(_WITHIN):
        await process.communicate(said.encode())
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}.")


async def _listens(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            await asyncio.sleep(0.05)
