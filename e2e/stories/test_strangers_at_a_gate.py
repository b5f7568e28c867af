"""Who comes to a gate of the cluster without the right words learns nothing and gets nowhere."""

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from e2e.support.installed import SESSIONS, Installed, a_session
from porthole_agent.pinning import check_pin
from porthole_contract.errors import Refused
from porthole_contract.stream.channels import Channel, Mode, Wire
from porthole_contract.stream.grant import Claims, SigningKey, issue, key_id, nonce
from porthole_contract.stream.pinning import pinned_tls
from porthole_contract.stream.preface import Decoder, Denied, Request, encode, read_answer

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]

ALERT = 0x15
"""The first byte of what TLS says to who does not speak it."""


class Gate:
    """A session's gate behind a forwarded port, and what it may be told."""

    def __init__(self, session: dict[str, Any], port: int) -> None:
        self.session = UUID(session["metadata"]["uid"])
        self.fingerprint = str(session["status"]["gate"]["fingerprint"])
        self.port = port

    def claims(self, **changes: Any) -> Claims:
        """Return claims that are good for it, but for the changes."""
        good = {
            "session": self.session,
            "gate": self.fingerprint,
            "channel": "vnc",
            "mode": "control",
            "nonce": nonce(secrets.token_bytes(16)),
            "expires": datetime.now(UTC) + timedelta(seconds=30),
        }
        return Claims.model_validate({**good, **changes})

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=pinned_tls(), server_hostname="gate"
        )

    async def answer(self, grant: str) -> str:
        """Show a grant; return why not, or what the channel begins with."""
        reader, writer = await self.connect()
        check_pin(writer, self.fingerprint)
        request = Request(
            stream=uuid4(),
            channel=Channel.VNC,
            protocol=Wire.RFB,
            mode=Mode.CONTROL,
            grant=grant,
        )
        writer.write(encode(request))
        decoder, said = Decoder(), b""
        async with asyncio.timeout(10):
            while (whole := decoder.feed(await reader.read(65536))) is None:
                pass
            told = read_answer(whole[0])
            if isinstance(told, Denied):
                assert await reader.read() == b"", "and it closes"
                return told.error.code
            said = whole[1] or await reader.read(12)
        writer.transport.abort()
        return said.decode("ascii")


@pytest.fixture(scope="module")
def gates(release: Installed) -> Iterator[list[Gate]]:
    """The gates of two sessions."""
    release.ensure()
    cluster, names = release.cluster, ("here", "there")
    cluster.apply(*(a_session(name) for name in names))
    for name in names:
        cluster.wait(f"session/{name}", "condition=Ready", "-n", SESSIONS)
    found = [cluster.get("session", name, "-n", SESSIONS) for name in names]
    try:
        with (
            cluster.forwarded("pod/here", 7443, SESSIONS) as here,
            cluster.forwarded("pod/there", 7443, SESSIONS) as there,
        ):
            yield [Gate(session, port) for session, port in zip(found, (here, there), strict=True)]
    finally:
        cluster.kubectl("delete", "sessions", *names, "-n", SESSIONS, "--timeout=60s")


@pytest.fixture(scope="module")
def key(release: Installed) -> SigningKey:
    """The key that the cluster's gates trust: its agent's."""
    private = load_pem_private_key(release.secret("porthole-agent")["key.pem"], None)
    assert isinstance(private, Ed25519PrivateKey)
    return SigningKey(key_id("agent", private.public_key()), private)


async def test_a_gate_lets_in_by_a_grant_of_its_own_and_by_no_other(
    gates: list[Gate], key: SigningKey
):
    here, there = gates
    stranger = SigningKey(key.key_id, Ed25519PrivateKey.generate())
    nobody = SigningKey("nobody", Ed25519PrivateKey.generate())

    def signed(by: SigningKey, **changes: Any) -> str:
        return issue(by, here.claims(**changes), datetime.now(UTC))

    late = signed(key, expires=datetime.now(UTC) + timedelta(seconds=1))
    good = signed(key)
    assert await here.answer(good) == "RFB 003.008\n"
    assert await here.answer(good) == "grant_used"
    assert await here.answer("not a grant") == "grant_invalid"
    assert await here.answer(signed(stranger)) == "grant_invalid"
    assert await here.answer(signed(nobody)) == "grant_issuer_unknown"
    assert await here.answer(signed(key, session=there.session)) == "grant_foreign"
    assert await here.answer(signed(key, gate=there.fingerprint)) == "grant_foreign"
    assert await there.answer(signed(key)) == "grant_foreign"
    assert await here.answer(signed(key, mode="view")) == "grant_not_for_this"
    await asyncio.sleep(1)
    assert await here.answer(late) == "grant_expired"
    assert await here.answer(signed(key)) == "RFB 003.008\n"


async def test_another_sessions_certificate_is_not_spoken_to(gates: list[Gate]):
    here, there = gates
    assert here.fingerprint != there.fingerprint
    _, writer = await there.connect()
    with pytest.raises(Refused) as refused:
        check_pin(writer, here.fingerprint)
    assert refused.value.code == "gate_not_genuine"


async def test_a_gate_says_nothing_to_plain_tcp_and_nothing_to_silence(gates: list[Gate]):
    here, _ = gates
    for words in (b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n", b"RFB 003.008\n", b"PORTHOLE\1\0\0\2{}"):
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(words)
        said = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(30):
                said = await reader.read(4096)
        assert said == b"" or said[0] == ALERT, said
        writer.transport.abort()
    reader, writer = await here.connect()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await reader.read(1)
    writer.write(b"RFB 003.008\n")
    async with asyncio.timeout(15):
        assert b"RFB" not in await reader.read(4096)
    writer.transport.abort()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", here.port, ssl=old, server_hostname="gate")
