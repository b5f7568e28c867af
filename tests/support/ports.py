"""Ports for servers that cannot be asked which one they took."""

import errno
import random
import socket

_BELOW_EPHEMERAL = range(15_000, 32_000)
"""Ports that no outgoing connection is given (`net.ipv4.ip_local_port_range`): a server that
stops and comes back finds its port free."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody has now and no connection will take."""
    for port in random.sample(_BELOW_EPHEMERAL, 100):
        with socket.socket() as taken:
            try:
                taken.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return port
    raise AssertionError("Of a hundred ports of 127.0.0.1 none is free.")
