"""The administrator that exists from the start, and their token's file."""

from pathlib import Path

from porthole_control.db.database import Database
from porthole_control.errors import Unauthenticated
from porthole_control.files import write_secret
from porthole_control.people import service


async def ensure(database: Database, name: str, token_file: Path, *, given: bool = False) -> None:
    """Make the administrator, and a token for them in `token_file`, unless both are there.

    A file whose token is no longer good (another database, revoked) gets a new one. One that
    was `given` is never written: what stands in it is made good, unless it was revoked.

    Raises:
        Invalid: the given file has no token in it.
    """
    try:
        kept = token_file.read_text(encoding="ascii").strip()  # noqa: ASYNC240 - before serving
    except (OSError, ValueError):
        kept = ""
    async with database.unit() as unit:
        user = await service.ensure_user(unit, name, is_admin=True)
        if given:
            await service.admit_token(unit, kept, user=user, name="administrator")
            return
        try:
            await service.authenticate(unit, kept)
        except Unauthenticated:
            made = await service.create_token(unit, user=user, name="administrator of this home")
            # Inside the transaction: a token that nobody has is worse than none.
            write_secret(token_file, f"{made.text}\n".encode())
