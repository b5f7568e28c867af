"""Who is there, proven.

The control plane gives a nonce and the epoch that this link would have; the agent signs
both together with both identities, its own nonce and the URL that it dialled, so that a
signature is worth nothing anywhere else or at any other time.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from porthole_contract.errors import Unproven
from porthole_contract.link.frames import Challenge, Hello, Proof

_CONTEXT = "porthole link proof v1"
_ENROLMENT = "porthole enrolment v1"


def statement(hello: Hello, challenge: Challenge, url: str) -> bytes:
    """Return the bytes that the agent signs: one field a line, none can contain a newline."""
    lines = (
        _CONTEXT,
        str(challenge.control_plane),
        str(hello.agent),
        str(hello.instance),
        hello.nonce,
        challenge.nonce,
        str(challenge.epoch),
        url,
    )
    return "\n".join(lines).encode()


def prove(key: Ed25519PrivateKey, hello: Hello, challenge: Challenge, url: str) -> Proof:
    """Return the agent's answer to a challenge."""
    return Proof(signature=key.sign(statement(hello, challenge, url)).hex())


def check_proof(
    public_key: bytes, hello: Hello, challenge: Challenge, url: str, proof: Proof
) -> None:
    """Check an agent's answer against its enrolled key (32 raw bytes).

    Raises:
        Unproven: the signature is not its own, or not over this greeting.
    """
    _verify(public_key, bytes.fromhex(proof.signature), statement(hello, challenge, url))


def enrolment_statement(token_id: str, public_key: bytes, control_plane: str) -> bytes:
    """Return what an agent signs when it redeems a join token: it holds the key it registers."""
    return f"{_ENROLMENT}\n{token_id}\n{public_key.hex()}\n{control_plane}".encode()


def check_enrolment(
    public_key: bytes, signature: bytes, *, token_id: str, control_plane: str
) -> None:
    """Check that whoever redeems a join token holds the key that it registers.

    Raises:
        Unproven: it does not.
    """
    _verify(public_key, signature, enrolment_statement(token_id, public_key, control_plane))


def new_key() -> Ed25519PrivateKey:
    """Return a fresh key of an agent."""
    return Ed25519PrivateKey.generate()


def _verify(public_key: bytes, signature: bytes, message: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Unproven("The agent did not prove that it holds its key.") from error
