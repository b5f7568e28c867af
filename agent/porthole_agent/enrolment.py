"""Who this agent is: a key that it made itself, and what the control plane calls it.

The key is stored before it is shown to anybody, so that a join token can be redeemed again
with the same key when the answer was lost.
"""

import asyncio
import base64
import ssl
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from porthole_agent.dial import pinned_certificate, tls_context
from porthole_agent.files import write_whole
from porthole_contract.errors import PortholeError, Refused
from porthole_contract.link.greeting import new_key
from porthole_contract.model import Message

_log = structlog.get_logger(__name__)

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts to join."""

_KEY = "key"
_IDENTITY = "identity.json"


class NotEnrolled(PortholeError):
    """This agent has not joined a control plane."""

    code = "not_enrolled"


class Identity(Message):
    """Where the agent belongs.

    `certificate`: PEM of a self-made one that is trusted; `authority`: PEM of those who vouch
    for any other, besides the public ones.
    """

    url: str
    agent: UUID
    name: str
    control_plane: UUID
    certificate: str | None = None
    authority: str | None = None

    def tls(self) -> ssl.SSLContext | None:
        """Return how TLS to the control plane is verified; None if it is not spoken there."""
        return tls_context(self.url, self.certificate, self.authority)


def load_key(folder: Path) -> Ed25519PrivateKey:
    """Return the agent's key, made now if there is none."""
    path = folder / _KEY
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, new_key().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def load_given_key(path: Path) -> Ed25519PrivateKey:
    """Return the key in a PEM file that somebody else has made.

    Raises:
        NotEnrolled: there is none, or it is no Ed25519 key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise NotEnrolled(f"The agent's key cannot be read from {path}: {error}.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise NotEnrolled(f"The key in {path} is no Ed25519 key.")
    return key


def load_identity(folder: Path) -> Identity:
    """Return where the agent belongs.

    Raises:
        NotEnrolled: nowhere yet.
    """
    try:
        return Identity.model_validate_json((folder / _IDENTITY).read_bytes())
    except FileNotFoundError:
        raise NotEnrolled(
            "This agent has not joined a control plane. Ask for a join token there"
            " (`porthole agent join-token NAME`) and paste the line that it prints."
        ) from None


async def enrol(folder: Path, url: str, token: str) -> Identity:
    """Join the control plane at `url` with a join token; harmless when repeated.

    The token may carry, behind a dot, the fingerprint of the control plane's certificate.

    Raises:
        Refused: the control plane does not answer, is another one, or says no.
    """
    identity = await _join(url.rstrip("/"), token, load_key(folder))
    write_whole(folder / _IDENTITY, identity.model_dump_json(indent=2).encode())
    return identity


async def enrol_by_file(
    url: str, token_file: Path, key: Ed25519PrivateKey, authority: str | None = None
) -> Identity:
    """Join the control plane at `url` with the token in a file; waits until it answers.

    The same key is the same agent, so every start, of every replica, may ask anew.

    Raises:
        Refused: it says no.
    """
    pause = _FIRST_PAUSE
    while True:
        token = token_file.read_text(encoding="ascii").strip()  # noqa: ASYNC240 - in memory
        try:
            return await _join(url.rstrip("/"), token, key, authority)
        except Refused as error:
            if error.code not in _PASSING:
                raise
            _log.warning("not_joined_yet", why=str(error))
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


_PASSING: Final = frozenset({"control_plane_unreachable", "unavailable"})


async def _join(
    base: str, token: str, key: Ed25519PrivateKey, authority: str | None = None
) -> Identity:
    # A ServiceAccount's token has two dots, and no certificate behind them.
    fingerprint = token.partition(".")[2] if token.count(".") == 1 else ""
    certificate = await pinned_certificate(base, fingerprint) if fingerprint else None
    context = tls_context(base, certificate, authority)
    public_key = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    try:
        async with httpx.AsyncClient(verify=context or True, timeout=20) as http:
            answer = await http.post(
                f"{base}/api/v1/agents/enrol", json={"token": token, "public_key": public_key}
            )
    except httpx.TransportError as error:
        raise Refused("control_plane_unreachable", f"{base} does not answer: {error}.") from error
    if answer.is_error:
        raise _refusal(answer)
    content = answer.json()
    return Identity(
        url=base,
        agent=content["agent_id"],
        name=content["name"],
        control_plane=content["instance"],
        certificate=certificate,
        authority=authority,
    )


def _refusal(answer: httpx.Response) -> Refused:
    try:
        problem = answer.json()
        return Refused(problem["code"], problem.get("detail") or problem["title"])
    except (ValueError, KeyError, TypeError):
        return Refused("enrolment_failed", f"The control plane answered {answer.status_code}.")
