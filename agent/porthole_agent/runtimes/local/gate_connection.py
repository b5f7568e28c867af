"""From the agent to a gate: its socket, opened without following links, and pinned TLS.

The folder belongs to the gate's user, so what is in it may be anything. The socket is
looked at before it is connected to, and the certificate has to be the one we made.
"""

import asyncio
import os
import ssl
import stat
from pathlib import Path
from typing import Final

from porthole_agent.pinning import BUFFER, check_pin
from porthole_contract.errors import Refused
from porthole_contract.stream.pinning import pinned_tls

SOCKET: Final = "gate.sock"


async def connect(
    folder: Path, uid: int, fingerprint: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the gate that listens in `folder`.

    Args:
        folder: where its socket is.
        uid: who must own the socket.
        fingerprint: SHA-256 of its certificate, lower hex.

    Raises:
        Refused: `gate_not_ready` or `gate_not_genuine`.
    """
    socket = _open_socket(folder, uid)
    try:
        reader, writer = await asyncio.open_unix_connection(
            f"/proc/self/fd/{socket}", ssl=pinned_tls(), server_hostname="gate", limit=BUFFER
        )
    except (OSError, ssl.SSLError) as error:
        raise Refused("gate_not_ready", f"The session's gate does not answer: {error}.") from None
    finally:
        os.close(socket)
    check_pin(writer, fingerprint)
    return reader, writer


def _open_socket(folder: Path, uid: int) -> int:
    """Return a descriptor of the socket itself, whatever its name means a moment later."""
    try:
        fd = os.open(folder / SOCKET, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise Refused("gate_not_ready", "The session's gate does not listen yet.") from None
    found = os.fstat(fd)
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != uid:
        os.close(fd)
        raise Refused("gate_not_genuine", "What is in the gate's place is not its socket.")
    return fd
