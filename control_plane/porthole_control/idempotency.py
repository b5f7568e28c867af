"""Calls that are done once however often they are sent.

The key is claimed in the same transaction as what the call does. A second call with the
same key waits for the first to end (Postgres makes it wait on the key), then gets its
answer; if the first failed, nothing of it is left and the second does it.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_control.db.database import Unit
from porthole_control.db.tables import idempotency_keys
from porthole_control.errors import Conflict
from porthole_control.people.rules import Principal

Out = TypeVar("Out", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answered: a status and a JSON body."""

    status: int
    body: dict[str, Any]


async def once(
    unit: Unit,
    principal: Principal,
    key: str | None,
    question: object,
    make: Callable[[], Awaitable[Answer]],
    *,
    secret: bool = False,
) -> Answer:
    """Do `make` once per key, and return its answer to every further call.

    Args:
        unit: the transaction that `make` works in.
        principal: whose key it is.
        key: what the caller sent; None does it every time.
        question: what is asked, as JSON; the same key with another question is refused.
        make: does it.
        secret: the answer holds a secret, which is shown once and never kept.

    Raises:
        Conflict: the key was used for another question, or it was done before and its answer
            was a secret.
    """
    if key is None:
        return await make()
    fingerprint = hashlib.sha256(to_json(question)).hexdigest()
    mine = idempotency_keys.c.user_id == principal.user_id, idempotency_keys.c.key == key
    claimed = await unit.connection.scalar(
        postgresql.insert(idempotency_keys)
        .values(user_id=principal.user_id, key=key, fingerprint=fingerprint, created_at=unit.now)
        .on_conflict_do_nothing()
        .returning(idempotency_keys.c.key)
    )
    if claimed is None:
        row = (
            await unit.connection.execute(
                select(
                    idempotency_keys.c.fingerprint,
                    idempotency_keys.c.status,
                    idempotency_keys.c.body,
                ).where(*mine)
            )
        ).one()
        if row.fingerprint != fingerprint:
            raise Conflict(
                "idempotency_key_reused", "This Idempotency-Key was used for another call."
            )
        if row.body is None:
            raise Conflict("already_done", "This was done before; its secret was shown then, once.")
        return Answer(row.status, row.body)
    answer = await make()
    await unit.connection.execute(
        update(idempotency_keys)
        .where(*mine)
        .values(status=answer.status, body=None if secret else answer.body)
    )
    return answer


async def shown_once(
    unit: Unit,
    principal: Principal,
    key: str | None,
    question: object,
    make: Callable[[], Awaitable[Out]],
    *,
    kind: type[Out],
) -> Out:
    """Do `make` once per key, as `once` does, and return the `kind` that it answered."""

    async def answer() -> Answer:
        return Answer(200, (await make()).model_dump(mode="json"))

    return kind.model_validate((await once(unit, principal, key, question, answer)).body)


async def prune(connection: AsyncConnection, *, before: datetime) -> int:
    """Forget keys made before that time; return how many."""
    done = await connection.execute(
        delete(idempotency_keys).where(idempotency_keys.c.created_at < before)
    )
    return done.rowcount
