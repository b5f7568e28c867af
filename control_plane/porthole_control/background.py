"""Work that goes on by itself: a failure of it is logged, and it goes on."""

from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

logger = structlog.get_logger(__name__)


async def keep_going(what: str, work: Callable[[], Awaitable[object]]) -> bool:
    """Do `work` once; return whether it was done. A failure never ends the program.

    Args:
        what: names the work in the log.
        work: what is done; the next time it is called, it finds what this time left.
    """
    try:
        await work()
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        logger.warning("background_work_waits", what=what, error=type(error).__name__)
    except Exception:
        logger.exception("background_work_failed", what=what)
    else:
        return True
    return False
