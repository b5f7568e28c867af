"""Waiting for what will be so in a moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(
    look: Callable[[], Awaitable[Any]], expected: Any, within: float = 20.0
) -> None:
    """Look again and again until it is as expected."""
    deadline = asyncio.get_running_loop().time() + within
    while (found := await look()) != expected:
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"It is {found!r} after {within} s, not {expected!r}.")
        await asyncio.sleep(0.02)


async def until(look: Callable[[], bool], within: float = 20.0) -> None:
    """Look again and again until it is so; the loop goes on meanwhile."""
    deadline = asyncio.get_running_loop().time() + within
    while not look():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"It is not so after {within} s.")
        await asyncio.sleep(0.02)


def wait_until(look: Callable[[], bool], within: float = 20.0) -> None:
    """Look again and again until it is so; for tests without a loop."""
    deadline = time.monotonic() + within
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError(f"It is not so after {within} s.")
        time.sleep(0.05)
