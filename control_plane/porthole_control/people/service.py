"""What people may do with their tokens, and how a browser signs in."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from porthole_contract.errors import Invalid
from porthole_contract.names import check_owner
from porthole_control.db.database import Unit
from porthole_control.db.doorbell import Bell
from porthole_control.db.ids import new_id
from porthole_control.errors import Conflict, Forbidden, NotFound, Unauthenticated
from porthole_control.people import repository, rules
from porthole_control.people.rules import ALL_SCOPES, Principal, Scope
from porthole_control.sessions import owners


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret, shown once: its id and its text."""

    id: UUID
    text: str
    expires_at: datetime | None


def new_secret(prefix: str, identity: UUID) -> tuple[str, bytes]:
    """Make a secret; return its text and what is to be kept of it. All are made here."""
    secret = os.urandom(rules.SECRET_BYTES)
    return rules.compose(prefix, identity, secret), rules.kept(secret)


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A password, shown once, and what is kept of it (`rules.kept`, lower hex)."""

    text: str = field(repr=False)
    kept: str


def new_password() -> NewPassword:
    """Make a password that a person can type."""
    text = rules.password(os.urandom(rules.PASSWORD_LENGTH))
    return NewPassword(text, rules.kept(text.encode()).hex())


async def ensure_user(unit: Unit, name: str, *, is_admin: bool = False) -> repository.User:
    """Return the user of that name, made now if there was none."""
    check_owner(name, field="user")
    return await repository.ensure_user(unit.connection, new_id(), name, is_admin=is_admin)


async def user(unit: Unit, principal: Principal, name: str) -> repository.User:
    """Return a user, their row locked, as an administrator asks.

    Raises:
        Forbidden: it is no administrator who asks.
        NotFound: there is no such user.
    """
    if not principal.is_admin:
        raise Forbidden("Only an administrator may do that.")
    found = await repository.user_locked(unit.connection, name)
    if found is None:
        raise NotFound("user", name)
    return found


async def call_in_clusters(
    unit: Unit, principal: Principal, name: str, kubernetes_username: str | None
) -> repository.User:
    """Say what a user is called in clusters, and list what they have there under them.

    Args:
        unit: the transaction.
        principal: who says so.
        name: the user.
        kubernetes_username: as the API servers of clusters know them; None: they are not.

    Raises:
        Forbidden: it is no administrator who says so.
        NotFound: there is no such user.
        Conflict: another user is called so.
    """
    found = await user(unit, principal, name)
    if found.kubernetes_username == kubernetes_username:
        return found
    try:
        await repository.call_in_clusters(unit.connection, found.id, kubernetes_username)
    except IntegrityError:
        raise Conflict(
            "kubernetes_username_taken",
            f"Another user is {kubernetes_username!r} in clusters. Take that from them first.",
        ) from None
    changed = replace(found, kubernetes_username=kubernetes_username)
    names = {found.kubernetes_username, kubernetes_username, found.name}
    await owners.relist(unit, {told for told in names if told is not None})
    return changed


async def create_token(
    unit: Unit,
    *,
    user: repository.User,
    name: str,
    scopes: Iterable[Scope] = ALL_SCOPES,
    lifetime: timedelta | None = None,
    kind: str = "token",
) -> NewSecret:
    """Make a token for `user`; None lives until it is revoked."""
    identity = new_id()
    prefix = rules.TOKEN if kind == "token" else rules.COOKIE
    text, kept = new_secret(prefix, identity)
    expires_at = None if lifetime is None else unit.now + lifetime
    await repository.add_token(
        unit.connection,
        id=identity,
        user_id=user.id,
        name=name,
        kind=kind,
        hash=kept,
        scopes=sorted(scopes),
        created_at=unit.now,
        expires_at=expires_at,
    )
    return NewSecret(identity, text, expires_at)


async def admit_token(unit: Unit, text: str, *, user: repository.User, name: str) -> None:
    """Make a token good that was made elsewhere; one that is known already stays as it is.

    Raises:
        Invalid: the text is no token.
    """
    parts = rules.dissect(rules.TOKEN, text)
    if parts is None:
        raise Invalid("token", "must be pht_, 32 and 64 hexadecimal digits, with a _ between")
    await repository.add_token(
        unit.connection,
        id=parts[0],
        user_id=user.id,
        name=name,
        kind="token",
        hash=rules.kept(parts[1]),
        scopes=sorted(ALL_SCOPES),
        created_at=unit.now,
        expires_at=None,
    )


async def create_token_by(
    unit: Unit,
    principal: Principal,
    *,
    user: str | None,
    name: str,
    scopes: Iterable[Scope] | None,
    lifetime: timedelta | None,
) -> NewSecret:
    """Make a token as `principal` asks: for themselves, or for `user` if an administrator.

    Raises:
        Forbidden: it is for another, or has scopes that they lack.
    """
    if user is not None and user != principal.name and not principal.is_admin:
        raise Forbidden("Only an administrator makes tokens for others.")
    return await create_token(
        unit,
        user=await ensure_user(unit, user or principal.name),
        name=name,
        scopes=rules.narrowed(scopes, principal.scopes),
        lifetime=lifetime,
    )


async def revoke_token(unit: Unit, principal: Principal, identity: UUID) -> None:
    """Revoke a token; takes effect everywhere at once.

    Raises:
        NotFound: there is none that is theirs.
    """
    user = None if principal.is_admin else principal.user_id
    if not await repository.revoke_token(unit.connection, identity, user=user, now=unit.now):
        raise NotFound("token", identity)
    unit.ring_after_commit(Bell.ACCESS)


async def create_sign_in_link(
    unit: Unit,
    user: repository.User,
    *,
    lifetime: timedelta,
    scopes: Iterable[Scope] = ALL_SCOPES,
) -> NewSecret:
    """Make the token of a link that signs `user` in, once."""
    identity = new_id()
    text, kept = new_secret(rules.SIGN_IN, identity)
    expires_at = unit.now + lifetime
    await repository.add_sign_in_link(
        unit.connection,
        id=identity,
        user_id=user.id,
        hash=kept,
        scopes=sorted(scopes),
        created_at=unit.now,
        expires_at=expires_at,
    )
    return NewSecret(identity, text, expires_at)


async def sign_in(unit: Unit, text: str, *, lifetime: timedelta) -> tuple[NewSecret, Principal]:
    """Redeem a sign-in link, or a token: return a browser's cookie and who it is.

    Raises:
        Unauthenticated: it is none of ours, was used before, or is too old.
    """
    if link := rules.dissect(rules.SIGN_IN, text):
        identity, secret = link
        row = await repository.sign_in_link(unit.connection, identity)
        if row is None or not rules.proves(secret, row.hash):
            raise Unauthenticated("This sign-in link is not one of ours.")
        if row.used_at is not None:
            raise Unauthenticated("This sign-in link was used before. Ask for a new one.")
        if row.expires_at <= unit.now:
            raise Unauthenticated("This sign-in link is too old. Ask for a new one.")
        await repository.use_sign_in_link(unit.connection, identity, unit.now)
        scopes = rules.parse_scopes(row.scopes)
        user = await repository.user_named(unit.connection, row.name)
    else:
        principal = await authenticate(unit, text)
        scopes = principal.scopes
        row = await repository.token_for_checking(unit.connection, principal.token_id, unit.now)
        if row is not None and row.expires_at is not None:
            # A browser stays signed in no longer than the token is good.
            lifetime = min(lifetime, row.expires_at - unit.now)
        user = await repository.user_named(unit.connection, principal.name)
    assert user is not None
    cookie = await create_token(
        unit, user=user, name="browser", scopes=scopes, lifetime=lifetime, kind="cookie"
    )
    return cookie, Principal(
        user.id, user.name, user.is_admin, frozenset(scopes), cookie.id, by_cookie=True
    )


async def authenticate(unit: Unit, text: str, *, prefix: str = rules.TOKEN) -> Principal:
    """Return who holds this token (or, with that prefix, cookie).

    Raises:
        Unauthenticated: it is unknown, wrong, expired or revoked.
    """
    parts = rules.dissect(prefix, text)
    if parts is None:
        raise Unauthenticated
    identity, secret = parts
    row = await repository.token_for_checking(unit.connection, identity, unit.now)
    if row is None or not rules.proves(secret, row.hash):
        raise Unauthenticated
    if row.kind != ("cookie" if prefix == rules.COOKIE else "token"):
        raise Unauthenticated
    return Principal(
        user_id=row.user_id,
        name=row.name,
        is_admin=row.is_admin,
        scopes=rules.parse_scopes(row.scopes),
        token_id=row.id,
        by_cookie=prefix == rules.COOKIE,
    )


async def still_good(unit: Unit, principal: Principal) -> bool:
    """Return whether the token by which they came in is good still."""
    row = await repository.token_for_checking(unit.connection, principal.token_id, unit.now)
    return row is not None
