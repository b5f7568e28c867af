"""Sockets: those that the gate makes, and those of the desktop, which are not to be trusted.

The directory that holds the desktop's sockets is the desktop's own: it may put a link
there, somebody else's socket or a file. So a socket is opened without following links,
looked at, and connected to through the descriptor that was looked at; who listens behind
it is checked again when the connection stands.
"""

import asyncio
import os
import socket
import stat
import struct
from pathlib import Path
from typing import Final

from porthole_contract.errors import Invalid, PortholeError

_RETRY: Final = 0.01
_MOST_RETRIES: Final = 200


class Unreachable(PortholeError):
    """The desktop's socket is missing, is not what it should be, or nobody listens."""

    code = "desktop_unreachable"


async def connect(path: Path, uid: int) -> socket.socket:
    """Connect to a unix socket of the user `uid`; return it, not blocking.

    Raises:
        Unreachable: it cannot be, or is not theirs.
    """
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Unreachable(f"{path} cannot be opened: {error.strerror}.") from None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _check_file(os.fstat(fd), path, uid)
        connection.setblocking(False)
        await _connect(connection, fd, path)
        _check_peer(connection, path, uid)
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(fd)
    return connection


async def _connect(connection: socket.socket, fd: int, path: Path) -> None:
    for _ in range(_MOST_RETRIES):
        try:
            connection.connect(f"/proc/self/fd/{fd}")
        except BlockingIOError:  # its backlog is full; a unix socket does not queue us
            await asyncio.sleep(_RETRY)
        except OSError as error:
            raise Unreachable(f"Nobody answers on {path}: {error.strerror}.") from None
        else:
            return
    raise Unreachable(f"Nobody accepts on {path}.")


def _check_file(found: os.stat_result, path: Path, uid: int) -> None:
    if not stat.S_ISSOCK(found.st_mode):
        raise Unreachable(f"{path} is not a socket.")
    if found.st_uid != uid:
        raise Unreachable(f"{path} belongs to uid {found.st_uid}, not to {uid}.")


def _check_peer(connection: socket.socket, path: Path, uid: int) -> None:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    peer = struct.unpack("3i", raw)[1]
    if peer != uid:
        raise Unreachable(f"uid {peer} listens on {path}, not {uid}.")


def listener(address: str) -> socket.socket:
    """Return a listening socket for `unix:PATH` or `tcp:HOST:PORT`.

    A unix socket replaces what is at its path and is for its owner alone (and root).

    Raises:
        Invalid: the address means nothing.
        OSError: it cannot be listened on.
    """
    kind, _, rest = address.partition(":")
    if kind == "unix":
        return _unix_listener(Path(rest))
    host, _, port = rest.rpartition(":")
    if kind != "tcp" or not host or not port.isdigit():
        raise Invalid("listen", "must be unix:PATH or tcp:HOST:PORT")
    host = host.removeprefix("[").removesuffix("]")
    family, _, _, _, place = socket.getaddrinfo(
        host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
    )[0]
    made = socket.create_server((place[0], place[1]), family=family, backlog=128)
    made.setblocking(False)
    return made


def _unix_listener(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
        made.listen(128)
    except OSError:
        made.close()
        raise
    finally:
        os.umask(before)
    made.setblocking(False)
    return made
