"""Who somebody is and what they may do; tokens as text and as what is kept of them. Pure.

A token is `pht_<id>_<secret>`: the id finds its row, the secret proves it. Only the
secret's SHA-256 is kept. Join tokens and sign-in links are made the same way with other
prefixes, so one can never be used as another.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from porthole_control.errors import Forbidden

TOKEN: Final = "pht"  # noqa: S105 - the beginning of each, no secret
COOKIE: Final = "phc"
SIGN_IN: Final = "phs"
JOIN: Final = "phj"
TICKET: Final = "phv"
DIAL_BACK: Final = "phd"

_LONGEST = 128
_SECRET = re.compile(r"(ph[a-z])_([0-9a-f]{32})_([0-9a-f]{64})")
SECRET_BYTES: Final = 32
PASSWORD_LENGTH: Final = 20
"""Characters; 100 bits, of which no more need be known than their hash to compare them."""
_TYPED: Final = "abcdefghijkmnpqrstuvwxyz23456789"


class Scope(StrEnum):
    """What a token is good for. A token never lets its user do more than they may."""

    READ = "read"  # see what is theirs
    SESSIONS = "sessions"  # create, change and end sessions and homes
    CONNECT = "connect"  # open streams
    SESSION_CONTROL = "session:control"  # drive desktops by program: keys, pointer, clipboard
    SESSION_EXEC = "session:exec"  # run programs in desktops
    SESSION_FILES = "session:files"  # read and write homes
    TEMPLATES = "templates"  # make and delete templates (administrators)
    AGENTS = "agents"  # let agents join, drain and revoke them (administrators)
    TOKENS = "tokens"  # make and revoke tokens, for others too if an administrator


ALL_SCOPES: Final = frozenset(Scope)
_ADMIN_ONLY = frozenset({Scope.TEMPLATES, Scope.AGENTS})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, and by which right.

    Attributes:
        by_cookie: whether a browser sent it on its own account; then its Origin counts.
    """

    user_id: UUID
    name: str
    is_admin: bool
    scopes: frozenset[Scope]
    token_id: UUID
    by_cookie: bool = False

    def may(self, scope: Scope) -> bool:
        """Return whether this scope is granted to them."""
        return scope in self.scopes and (self.is_admin or scope not in _ADMIN_ONLY)

    def must(self, scope: Scope) -> None:
        """Check that they may.

        Raises:
            Forbidden: the token lacks the scope, or the user is no administrator.
        """
        if scope not in self.scopes:
            raise Forbidden(f"This token lacks the scope {scope.value!r}.", code="scope_missing")
        if not self.may(scope):
            raise Forbidden("Only an administrator may do that.")


def compose(prefix: str, identity: UUID, secret: bytes) -> str:
    """Return the text of a secret, to be shown once."""
    return f"{prefix}_{identity.hex}_{secret.hex()}"


def dissect(prefix: str, text: str) -> tuple[UUID, bytes] | None:
    """Return id and secret of a text made by `compose` with this prefix, or None."""
    match = _SECRET.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or match[1] != prefix:
        return None
    return UUID(hex=match[2]), bytes.fromhex(match[3])


def password(randomness: bytes) -> str:
    """Return a password: one character of 32 for each byte, five bits of it."""
    return "".join(_TYPED[one % len(_TYPED)] for one in randomness)


def kept(secret: bytes) -> bytes:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret).digest()


def proves(secret: bytes, hash_kept: bytes) -> bool:
    """Return whether `secret` is the one; takes the same time whatever it is."""
    return hmac.compare_digest(kept(secret), hash_kept)


def parse_scopes(texts: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes that these texts name; what is no scope (any more) grants nothing."""
    known = set(Scope)
    return frozenset(Scope(text) for text in texts if text in known)


def narrowed(wanted: Iterable[Scope] | None, own: frozenset[Scope]) -> frozenset[Scope]:
    """Return the scopes of a new token: those wanted, none that its maker does not have.

    Raises:
        Forbidden: more is wanted than its maker has.
    """
    scopes = own if wanted is None else frozenset(wanted)
    if beyond := scopes - own:
        raise Forbidden(
            f"A token cannot be given the scope {min(beyond)!r}, which yours lacks.",
            code="scope_missing",
        )
    return scopes
