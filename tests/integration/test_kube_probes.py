"""What a program's health port says to whoever asks."""

import asyncio

import pytest

from porthole_contract.errors import Refused
from porthole_kube.probes import Probes
from tests.support.ports import free_port


async def asked(port: int, request: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    async with asyncio.timeout(20):
        heard = await reader.read()
    writer.close()
    await writer.wait_closed()
    return heard.decode()


async def test_it_says_a_status_and_not_a_word_more():
    why = {"/healthz": "", "/readyz": "It reads what there is."}
    probes = Probes({path: lambda path=path: why[path] for path in why})
    port = free_port()
    await probes.open(port)
    try:
        for path, status in (
            ("/healthz", "200 OK"),
            ("/readyz", "503 Service Unavailable"),
            ("/readyz?x", "404 Not Found"),
            ("/", "404 Not Found"),
        ):
            heard = await asked(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head, _, body = heard.partition("\r\n\r\n")
            assert (head.splitlines()[0], body) == (f"HTTP/1.1 {status}", "")
        why["/readyz"] = ""
        assert "200 OK" in await asked(port, b"GET /readyz HTTP/1.0\r\n\r\n")
        assert "404" in await asked(port, b"POST /healthz HTTP/1.1\r\n\r\n")
        assert "404" in await asked(port, b"\xff\r\n\r\n")
        assert await asked(port, b"GET /" + b"x" * 10_000 + b"\r\n\r\n") == ""
        taken = Probes({})
        with pytest.raises(Refused, match=str(port)):
            await taken.open(port)
    finally:
        probes.close()
