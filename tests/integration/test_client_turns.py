"""A TLS socket that is read by one thread and written by another, against a real server."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from porthole_client.turns import TakingTurns
from porthole_operator.certificates import certificate

MUCH = 8 * 1024 * 1024


class Echo:
    """A server of one connection, which sends back what comes; not before it is told to."""

    def __init__(self, folder: Path) -> None:
        for name, content in certificate("echo", ["127.0.0.1"]).items():
            (folder / name).write_bytes(content)
        self.trust = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        self.begins = threading.Event()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]

    def serve(self) -> None:
        """Serve it to its end."""
        raw, _ = self._listening.accept()
        with self._listening, self._context.wrap_socket(raw, server_side=True) as connection:
            self.begins.wait(20)
            with suppress(OSError):  # who has left
                while data := connection.recv(65536):
                    connection.sendall(data)


@contextmanager
def connected(folder: Path, kind: type[ssl.SSLSocket]) -> Iterator[tuple[Echo, ssl.SSLSocket]]:
    server = Echo(folder)
    server.trust.sslsocket_class = kind
    serving = threading.Thread(target=server.serve)
    serving.start()
    raw = socket.create_connection(("127.0.0.1", server.port), 20)
    with server.trust.wrap_socket(raw, server_hostname="127.0.0.1") as client:
        try:
            yield server, client
        finally:
            server.begins.set()
            with suppress(OSError):  # it was done already
                client.shutdown(socket.SHUT_RDWR)
            serving.join(20)


class Watched:
    """OpenSSL's own object, and how many threads were in it at once."""

    def __init__(self, own: Any) -> None:
        self._own = own
        self._inside = 0
        self.most = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._own, name)
        if name not in {"read", "write"}:
            return found

        def called(*given: Any) -> Any:
            self._inside += 1
            self.most = max(self.most, self._inside)
            try:
                return found(*given)
            finally:
                self._inside -= 1

        return called


def read_all(client: ssl.SSLSocket, amount: int) -> bytes:
    """Read so many bytes."""
    read = bytearray()
    while len(read) < amount:
        data = client.recv(65536)
        assert data, "it ended too soon"
        read += data
    return bytes(read)


@pytest.mark.parametrize(("kind", "most"), [(TakingTurns, 1), (ssl.SSLSocket, 2)])
def test_openssl_is_asked_by_one_thread_at_a_time(
    tmp_path: Path, kind: type[ssl.SSLSocket], most: int
) -> None:
    """Python's own socket shows that the test can tell."""
    with connected(tmp_path, kind) as (server, client), ThreadPoolExecutor(1) as pool:
        watched = Watched(client._sslobj)
        client._sslobj = watched
        server.begins.set()
        reading = pool.submit(read_all, client, 5)
        time.sleep(0.2)
        client.sendall(b"hello")
        assert reading.result(20) == b"hello"
        assert watched.most == most


def test_much_goes_both_ways_at_once(tmp_path: Path) -> None:
    data = bytes(range(256)) * (MUCH // 256)
    with connected(tmp_path, TakingTurns) as (server, client), ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_all, client, MUCH)
        threading.Timer(0.3, server.begins.set).start()  # until then there is room for little
        client.sendall(data)
        assert reading.result(30) == data


def test_who_waits_too_long_is_told_and_may_go_on(tmp_path: Path) -> None:
    with connected(tmp_path, TakingTurns) as (server, client):
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        with pytest.raises(TimeoutError):
            client.sendall(bytes(4 * MUCH))
        client.settimeout(20)
        server.begins.set()
        assert client.recv(1) == b"\0"


def test_who_waits_hears_of_the_end(tmp_path: Path) -> None:
    with connected(tmp_path, TakingTurns) as (_, client), ThreadPoolExecutor(1) as pool:
        reading = pool.submit(client.recv, 1)
        time.sleep(0.2)
        client.shutdown(socket.SHUT_RDWR)
        assert reading.result(5) == b""
