"""`python -m porthole_control.migrate`: brings the database up to date, and ends.

For whoever wants that done before new replicas start; it is set by the same `PORTHOLE_...` as
they are. Exit codes: 0 it is up to date, 1 it is not, and a sentence says why.
"""

import asyncio
import sys

from porthole_contract.errors import PortholeError
from porthole_control.db import setup
from porthole_control.db.connecting import conninfo_of
from porthole_control.db.database import Database
from porthole_control.settings import Settings

_PATIENCE = 120.0


def main() -> int:
    """Migrate; return the exit status."""
    try:
        asyncio.run(_migrate(Settings()))
    except PortholeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"The database is up to date: {setup.newest_revision()}.\n")
    return 0


async def _migrate(settings: Settings) -> None:
    database = Database(conninfo_of(settings), pool_size=2)
    try:
        await setup.wait_and_migrate(database, patience=_PATIENCE)
    finally:
        await database.close()


if __name__ == "__main__":
    sys.exit(main())
