"""Where this agent belongs and by which keys, as its settings and its folder say."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_agent.enrolment import (
    Identity,
    NotEnrolled,
    enrol_by_file,
    load_given_key,
    load_identity,
    load_key,
)
from porthole_agent.settings import Settings
from porthole_contract.stream.grant import SigningKey, key_id


@dataclass(frozen=True, slots=True)
class Belonging:
    """Where an agent belongs; `key` proves it, `signing` signs grants for gates."""

    identity: Identity
    key: Ed25519PrivateKey
    signing: SigningKey


async def belonging(settings: Settings) -> Belonging:
    """Return where this agent belongs; it joins now, and waits for that, if it is told by what.

    Raises:
        PortholeError: it belongs nowhere, or may not join.
    """
    given = settings.key_file
    key = load_key(settings.folder) if given is None else load_given_key(given)
    authority = _authority(settings)
    if settings.join_token_file is None:
        identity = load_identity(settings.folder)
    elif settings.url is None:
        raise NotEnrolled("PORTHOLE_AGENT_URL has to say which control plane is to be joined.")
    else:
        identity = await enrol_by_file(settings.url, settings.join_token_file, key, authority)
    if authority is not None:
        identity = identity.model_copy(update={"authority": authority})
    if settings.url is not None:
        identity = identity.model_copy(update={"url": settings.url.rstrip("/")})
    # Whoever made a given key has told the gates about it, and knows no agent's id.
    known_as = f"agent-{identity.agent}" if given is None else key_id("agent", key.public_key())
    return Belonging(identity, key, SigningKey(key_id=known_as, private=key))


def _authority(settings: Settings) -> str | None:
    if settings.authority_file is None:
        return None
    try:
        return settings.authority_file.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise NotEnrolled(
            f"Who vouches for the control plane cannot be read from {settings.authority_file}:"
            f" {error}."
        ) from error
