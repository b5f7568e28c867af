"""An event that weighs little, and is one all the same."""

import asyncio

from porthole_control.flag import Flag


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_whoever_waits_goes_on_when_it_is_set() -> None:
    flag = Flag()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await settle()
    assert not any(task.done() for task in waiting)
    waiting.pop().cancel()
    await settle()
    flag.set()
    flag.clear()  # who waited before goes on nevertheless
    await settle()
    assert all(task.done() for task in waiting)
    assert not flag.is_set()


async def test_who_comes_when_it_is_set_does_not_wait() -> None:
    flag = Flag()
    flag.set()
    assert flag.is_set()
    await flag.wait()
    flag.clear()
    waiting = asyncio.create_task(flag.wait())
    await settle()
    assert not waiting.done()
    flag.set()
    await waiting
