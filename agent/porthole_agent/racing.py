"""Work that goes on together until a part of it ends, as the two ways of a connection do."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_one_ends(*work: Coroutine[Any, Any, None]) -> None:
    """Do all of it until one part has ended, and end the others.

    Raises:
        Exception: what that part has raised.
    """
    tasks = {asyncio.create_task(one) for one in work}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
