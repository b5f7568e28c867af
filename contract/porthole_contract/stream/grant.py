"""The signed right to open one stream at one gate, once, soon.

A grant is a compact JWS over Ed25519. It names the session and the fingerprint of the
gate's certificate, so that it opens no other; a channel and a mode; when it stops being
good; and a nonce that the gate accepts once. Who may sign, and what each may grant at the
most, is the gate's own list (`Issuer`), given to it by whoever starts it.

Pure: time and randomness are arguments.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field, ValidationError

from porthole_contract.errors import Invalid, Refused
from porthole_contract.model import Message

ALGORITHM: Final = "EdDSA"
TYPE: Final = "porthole-grant"
LONGEST: Final = timedelta(minutes=5)
"""A grant that is good for longer than this is refused: a gate must be able to remember
every nonce until its grant has expired."""
SKEW: Final = timedelta(seconds=10)
"""How far the issuer's clock may be ahead of the gate's."""

LEAST_RANDOMNESS: Final = 16
"""Bytes of randomness that a nonce is made of at the least."""

KeyId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:/@-]+$")]


class Claims(Message):
    """What a grant says.

    `gate` is the SHA-256 of the gate's certificate, lower hex. `epoch` orders commanders
    of the channel `control`: the newest wins. `password` is the SHA-256, lower hex, of what a
    native client of RDP has to show as its password; left out: nothing.
    """

    session: UUID
    gate: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    channel: Annotated[str, Field(min_length=1, max_length=64)]
    mode: Annotated[str, Field(min_length=1, max_length=64)]
    nonce: Annotated[str, Field(min_length=16, max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]
    expires: datetime
    epoch: Annotated[int, Field(ge=0, lt=2**63)] = 0
    password: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs grants, and the id under which gates know it."""

    key_id: str
    private: Ed25519PrivateKey

    def issuer(self, channels: Iterable[str], modes: Iterable[str]) -> "Issuer":
        """Return what a gate is told about this key."""
        raw = self.private.public_key().public_bytes_raw()
        return Issuer(
            key_id=self.key_id,
            public_key=base64.b64encode(raw).decode(),
            channels=tuple(sorted(channels)),
            modes=tuple(sorted(modes)),
        )


def key_id(holder: str, public: Ed25519PublicKey) -> str:
    """Return the id of a key that several programs know without talking to one another.

    It is made of who holds it (`agent`, `operator`) and of the key itself.
    """
    return f"{holder}-{hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]}"


class Issuer(Message):
    """One who may sign grants, and the most that they may grant.

    `public_key` is the standard base64 of the 32 raw bytes of an Ed25519 key. A name that
    is not in `channels` or `modes` is refused even if the signature is good.
    """

    key_id: KeyId
    public_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    channels: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()

    def key(self) -> Ed25519PublicKey:
        """Return the key itself.

        Raises:
            Invalid: the bytes are no key.
        """
        try:
            return Ed25519PublicKey.from_public_bytes(base64.b64decode(self.public_key))
        except ValueError:
            raise Invalid("public_key", "is not the base64 of an Ed25519 public key") from None


def nonce(randomness: bytes) -> str:
    """Return a nonce made of `randomness` (at least `LEAST_RANDOMNESS` bytes).

    Raises:
        Invalid: there is too little of it.
    """
    if len(randomness) < LEAST_RANDOMNESS:
        raise Invalid("randomness", f"must be at least {LEAST_RANDOMNESS} bytes")
    return base64.urlsafe_b64encode(randomness).rstrip(b"=").decode()


def issue(key: SigningKey, claims: Claims, now: datetime) -> str:
    """Sign `claims`; the token is ASCII, about 500 characters.

    Raises:
        Invalid: it would expire in the past or in more than `LONGEST`.
    """
    if not timedelta(0) < claims.expires - now <= LONGEST:
        raise Invalid("expires", f"must be within {LONGEST.total_seconds():.0f} s from now")
    payload = {
        "iss": key.key_id,
        "jti": claims.nonce,
        "exp": claims.expires.timestamp(),
        "session": str(claims.session),
        "gate": claims.gate,
        "channel": claims.channel,
        "mode": claims.mode,
        "epoch": claims.epoch,
        **({} if claims.password is None else {"password": claims.password}),
    }
    headers = {"kid": key.key_id, "typ": TYPE}
    return jwt.encode(payload, key.private, algorithm=ALGORITHM, headers=headers)


def verify(token: str, issuers: Mapping[str, Issuer], now: datetime) -> tuple[Issuer, Claims]:
    """Return who signed `token` and what it says, if it is good at `now`.

    The caller still has to compare session, gate, channel and mode with what it is, and to
    accept the nonce once: `check_for` does the first.

    Args:
        token: the compact JWS.
        issuers: those who may sign, by key id.
        now: aware.

    Raises:
        Refused: `grant_invalid`, `grant_issuer_unknown`, `grant_expired`,
            `grant_too_long` or `grant_not_allowed`.
    """
    issuer = _issuer(token, issuers)
    try:
        payload = jwt.decode(
            token,
            issuer.key(),
            algorithms=[ALGORITHM],
            options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        claims = Claims.model_validate(
            {
                **{name: payload.get(name) for name in ("session", "gate", "channel", "mode")},
                "nonce": payload.get("jti"),
                "expires": _moment(payload.get("exp")),
                "epoch": payload.get("epoch", 0),
                "password": payload.get("password"),
            }
        )
    except (jwt.PyJWTError, ValidationError, Invalid):
        raise Refused("grant_invalid", "The grant is not one that its issuer signed.") from None
    if payload.get("iss") != issuer.key_id:
        raise Refused("grant_invalid", "The grant names another issuer than its key's.")
    if claims.expires <= now:
        raise Refused("grant_expired", "The grant has expired; ask for a new one.")
    if claims.expires - now > LONGEST + SKEW:
        raise Refused("grant_too_long", "The grant is good for longer than a grant may be.")
    if claims.channel not in issuer.channels or claims.mode not in issuer.modes:
        raise Refused(
            "grant_not_allowed",
            "The grant gives a channel or a mode that its issuer may not grant.",
        )
    return issuer, claims


def check_for(claims: Claims, *, session: UUID, gate: str, channel: str, mode: str) -> None:
    """Check that `claims` are about this session, gate, channel and mode.

    Raises:
        Refused: `grant_foreign` if they are about another session or gate,
            `grant_not_for_this` if about another channel or mode.
    """
    if claims.session != session or claims.gate != gate:
        raise Refused("grant_foreign", "The grant is for another session or another gate.")
    if claims.channel != channel or claims.mode != mode:
        raise Refused("grant_not_for_this", "The grant is for another channel or another mode.")


def _issuer(token: str, issuers: Mapping[str, Issuer]) -> Issuer:
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise Refused("grant_invalid", "The grant is not a signed token.") from None
    if header.get("alg") != ALGORITHM or header.get("typ") != TYPE:
        raise Refused("grant_invalid", "The grant is not a token of the kind that is wanted.")
    issuer = issuers.get(str(header.get("kid")))
    if issuer is None:
        raise Refused("grant_issuer_unknown", "The grant is signed by nobody this gate trusts.")
    return issuer


def _moment(value: object) -> datetime | None:
    """Read a NumericDate; None, which no claim accepts, if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
