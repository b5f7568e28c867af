"""Who this agent is: a key that it made itself, and what the control plane calls it.

The key is stored before it is shown to anybody, so that a join token can be redeemed again
with the same key when the answer was lost.
"""

import base64
from pathlib import Path
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_agent.dial import pinned_certificate, tls_context
from porthole_agent.files import write_whole
from porthole_contract.errors import PortholeError, Refused
from porthole_contract.link.greeting import new_key
from porthole_contract.model import Message

_KEY = "key"
_IDENTITY = "identity.json"


class NotEnrolled(PortholeError):
    """This agent has not joined a control plane."""

    code = "not_enrolled"


class Identity(Message):
    """Where the agent belongs. `certificate`: PEM of a self-made one that is trusted."""

    url: str
    agent: UUID
    name: str
    control_plane: UUID
    certificate: str | None = None


def load_key(folder: Path) -> Ed25519PrivateKey:
    """Return the agent's key, made now if there is none."""
    path = folder / _KEY
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, new_key().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


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
    key = load_key(folder)
    base = url.rstrip("/")
    fingerprint = token.partition(".")[2]
    certificate = await pinned_certificate(base, fingerprint) if fingerprint else None
    context = tls_context(base, certificate)
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
    identity = Identity(
        url=base,
        agent=content["agent_id"],
        name=content["name"],
        control_plane=content["instance"],
        certificate=certificate,
    )
    write_whole(folder / _IDENTITY, identity.model_dump_json(indent=2).encode())
    return identity


def _refusal(answer: httpx.Response) -> Refused:
    try:
        problem = answer.json()
        return Refused(problem["code"], problem.get("detail") or problem["title"])
    except (ValueError, KeyError, TypeError):
        return Refused("enrolment_failed", f"The control plane answered {answer.status_code}.")
