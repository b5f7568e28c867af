"""The bugs that a chaos run plants in the desk do what they say, on the desk of today."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from porthole_agent.desk import Desk
from porthole_agent.runtimes import fence
from porthole_agent.runtimes.local.keeper import Keeper
from porthole_contract.testing import builders
from tests.support import planted


class Place:
    """A runtime that notes orders."""

    def __init__(self) -> None:
        self.told: list[int] = []

    async def apply(self, _session: UUID, order: int, **_: Any) -> None:
        self.told.append(order)


async def orders_of(bug: str, monkeypatch: pytest.MonkeyPatch, *orders: int) -> list[list[int]]:
    """Return what was carried out when the last result was said, and a while later."""
    for owner, name in (
        (Desk, "_carry_out"),
        (Desk, "take"),
        (Keeper, "change"),
        (fence, "on_apply"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # put back afterwards
    monkeypatch.setattr(planted, "_LATER", 0.05)
    planted.plant(bug, "porthole_agent")
    place, said = Place(), []
    desk = Desk(place, said.append)  # type: ignore[arg-type]  # a runtime, as far as a desk goes
    for order in orders:
        desk.take(builders.a_command(order, builders.an_apply(order=order)))
    async with asyncio.timeout(10):
        while len(said) < len(orders):
            await asyncio.sleep(0.001)
        at_once = list(place.told)
        while len(place.told) < len(orders) * (2 if bug == "late-old-order" else 1):
            await asyncio.sleep(0.001)
    await desk.close()
    return [at_once, place.told]


async def test_results_are_said_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await orders_of("ack-before-effect", monkeypatch, 1, 2) == [[], [1, 2]]


async def test_old_orders_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, later = await orders_of("late-old-order", monkeypatch, 1, 2)
    assert (at_once, sorted(later)) == ([1, 2], [1, 1, 2, 2])
    assert fence.on_apply(1, held=2, ended=None) is fence.Apply.CHANGE


async def test_orders_overtake_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, _ = await orders_of("reorder", monkeypatch, *range(1, 9))
    assert sorted(at_once) == list(range(1, 9))
