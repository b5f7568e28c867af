"""All SQL about people."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, true, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_control.db.rows import AnyRow, columns_of
from porthole_control.people.tables import sign_in_links, tokens, users


@dataclass(frozen=True, slots=True)
class User:
    """A row of `users`."""

    id: UUID
    name: str
    is_admin: bool
    kubernetes_username: str | None
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Token:
    """A row of `tokens`, with its user's name, without the hash."""

    id: UUID
    user: str
    name: str
    kind: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


_USER = columns_of(User, users)
_TOKEN = columns_of(Token, tokens, user=users.c.name)


async def ensure_user(
    connection: AsyncConnection, identity: UUID, name: str, *, is_admin: bool = False
) -> User:
    """Return the user of that name, made now if there was none."""
    await connection.execute(
        postgresql.insert(users)
        .values(id=identity, name=name, is_admin=is_admin)
        .on_conflict_do_nothing(index_elements=["name"])
    )
    row = (await connection.execute(select(*_USER).where(users.c.name == name))).one()
    return User(*row)


async def user_named(connection: AsyncConnection, name: str) -> User | None:
    """Return the user of that name."""
    row = (await connection.execute(select(*_USER).where(users.c.name == name))).one_or_none()
    return None if row is None else User(*row)


async def called_in_clusters(connection: AsyncConnection, name: str) -> Sequence[User]:
    """Return who is called so in clusters, then whose name it is here and not in clusters."""
    query = select(*_USER).where(
        or_(
            users.c.kubernetes_username == name,
            and_(users.c.name == name, users.c.kubernetes_username.is_not(None)),
        )
    )
    found = [User(*row) for row in await connection.execute(query)]
    return sorted(found, key=lambda user: user.kubernetes_username != name)


async def call_in_clusters(
    connection: AsyncConnection, identity: UUID, kubernetes_username: str | None
) -> None:
    """Set what a user is called in clusters."""
    await connection.execute(
        update(users).where(users.c.id == identity).values(kubernetes_username=kubernetes_username)
    )


async def user_locked(connection: AsyncConnection, name: str) -> User | None:
    """Return the user of that name, their row locked."""
    query = select(*_USER).where(users.c.name == name).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else User(*row)


async def list_users(
    connection: AsyncConnection, *, after: str | None, limit: int
) -> Sequence[User]:
    """Return users by name, those after `after`."""
    query = select(*_USER).order_by(users.c.name).limit(limit)
    if after is not None:
        query = query.where(users.c.name > after)
    return [User(*row) for row in await connection.execute(query)]


async def add_token(connection: AsyncConnection, **values: Any) -> None:
    """Insert a token (columns of `tokens`), unless there is one of its id."""
    await connection.execute(postgresql.insert(tokens).values(**values).on_conflict_do_nothing())


async def token_for_checking(
    connection: AsyncConnection, identity: UUID, now: datetime
) -> AnyRow | None:
    """Return what is needed to judge a token, if it is good: hash, user, scopes, expiry."""
    return (
        await connection.execute(
            select(
                tokens.c.id,
                tokens.c.hash,
                tokens.c.kind,
                tokens.c.scopes,
                tokens.c.expires_at,
                tokens.c.user_id,
                users.c.name,
                users.c.is_admin,
            )
            .join(users, users.c.id == tokens.c.user_id)
            .where(tokens.c.id == identity, _good(now), users.c.disabled_at.is_(None))
        )
    ).one_or_none()


def _good(now: datetime) -> ColumnElement[bool]:
    return and_(
        tokens.c.revoked_at.is_(None),
        or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
    )


async def list_tokens(
    connection: AsyncConnection,
    *,
    user: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Token]:
    """Return tokens that are not revoked, newest first; of all users if `user` is None."""
    query = (
        select(*_TOKEN)
        .join(users, users.c.id == tokens.c.user_id)
        .where(tokens.c.revoked_at.is_(None), true() if user is None else tokens.c.user_id == user)
        .order_by(tokens.c.created_at.desc(), tokens.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(tokens.c.created_at, tokens.c.id) < tuple_(*after))
    return [Token(*row) for row in await connection.execute(query)]


async def token(connection: AsyncConnection, identity: UUID) -> Token | None:
    """Return one token."""
    row = (
        await connection.execute(
            select(*_TOKEN)
            .join(users, users.c.id == tokens.c.user_id)
            .where(tokens.c.id == identity)
        )
    ).one_or_none()
    return None if row is None else Token(*row)


async def revoke_token(
    connection: AsyncConnection, identity: UUID, *, user: UUID | None, now: datetime
) -> bool:
    """Revoke a token (of `user`, or of anybody if None); return whether there was one."""
    done = await connection.execute(
        update(tokens)
        .where(
            tokens.c.id == identity,
            tokens.c.revoked_at.is_(None),
            true() if user is None else tokens.c.user_id == user,
        )
        .values(revoked_at=now)
    )
    return done.rowcount > 0


async def note_use(connection: AsyncConnection, used: Collection[UUID], now: datetime) -> None:
    """Note that these tokens were used."""
    await connection.execute(update(tokens).where(tokens.c.id.in_(used)).values(last_used_at=now))


async def add_sign_in_link(connection: AsyncConnection, **values: Any) -> None:
    """Insert a sign-in link (columns of `sign_in_links`)."""
    await connection.execute(insert(sign_in_links).values(**values))


async def sign_in_link(connection: AsyncConnection, identity: UUID) -> AnyRow | None:
    """Return a link's hash, user, expiry and use, its row locked: it is redeemed once."""
    return (
        await connection.execute(
            select(
                sign_in_links.c.hash,
                sign_in_links.c.user_id,
                sign_in_links.c.expires_at,
                sign_in_links.c.used_at,
                sign_in_links.c.scopes,
                users.c.name,
                users.c.is_admin,
            )
            .join(users, users.c.id == sign_in_links.c.user_id)
            .where(sign_in_links.c.id == identity, users.c.disabled_at.is_(None))
            .with_for_update(of=sign_in_links)
        )
    ).one_or_none()


async def use_sign_in_link(connection: AsyncConnection, identity: UUID, now: datetime) -> None:
    """Mark a link as used."""
    await connection.execute(
        update(sign_in_links).where(sign_in_links.c.id == identity).values(used_at=now)
    )


async def prune(connection: AsyncConnection, *, before: datetime) -> int:
    """Delete links and browsers' sign-ins that ended before that time; return how many."""
    links = await connection.execute(
        sign_in_links.delete().where(sign_in_links.c.expires_at < before)
    )
    return links.rowcount


async def count_users(connection: AsyncConnection) -> int:
    """Return how many users there are."""
    return (await connection.execute(select(func.count()).select_from(users))).scalar_one()
