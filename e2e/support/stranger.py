"""Run inside a desktop, by its own Python: knock at places and print what was heard, as JSON.

Its argument is the list of places, each an address and a port, as JSON.
"""

import contextlib
import json
import socket
import ssl
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

HELLO = b"GET /healthz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
OTHER = b"GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
POSTGRES_TLS = struct.pack(">II", 8, 80877103)
NAMES = b"user\0porthole\0database\0porthole\0\0"
POSTGRES = struct.pack(">II", 8 + len(NAMES), 0x30000) + NAMES
PATIENCE = 10  # seconds for a connection, and for an answer
SILENCE = 2  # seconds without a word


def everything(connection, patience):
    """Return what is said until nothing more comes."""
    said = b""
    connection.settimeout(patience)
    with contextlib.suppress(OSError):
        while len(said) < 4096 and (more := connection.recv(4096)):
            said += more
            connection.settimeout(SILENCE)
    return said.decode("latin-1")


def knock(address, port, words, tls=False, first=b""):
    """Connect, perhaps say `first` in the clear, perhaps speak TLS, say `words`, and listen."""
    try:
        connection = socket.create_connection((address, port), timeout=PATIENCE)
        answer = ""
        if first:
            connection.sendall(first)
            answer = connection.recv(1).decode("latin-1")
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection)
        if words:
            connection.sendall(words.replace(b"%s", address.encode()))
        return answer + everything(connection, PATIENCE if words else SILENCE)
    except OSError as error:
        return f"{type(error).__name__}"


def heard_at(place):
    """Return all that was heard at one place, by how it was asked."""
    return {
        "silence": knock(*place, b""),
        "plain": knock(*place, HELLO),
        "plain, other": knock(*place, OTHER),
        "tls, silence": knock(*place, b"", tls=True),
        "tls": knock(*place, HELLO, tls=True),
        "postgres": knock(*place, POSTGRES),
        "postgres, tls": knock(*place, POSTGRES, tls=True, first=POSTGRES_TLS),
    }


with ThreadPoolExecutor(32) as pool:
    print(json.dumps(list(pool.map(heard_at, json.loads(sys.argv[1])))))
