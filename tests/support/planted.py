"""Bugs for a chaos run to find: each takes a promise away, and with it what else would keep it.

    ./porthole chaos --planted NAME

A program is started with one of them (`e2e/chaos/start.py`); the wheel knows nothing of this. Most
promises are kept twice over. Where a second fence would hide that the first one is gone, the bug
takes both, and says so.
"""

import asyncio
import importlib
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

_LATER = 1.5  # seconds by which what comes late is late


@dataclass(frozen=True)
class Bug:
    """One bug: how it gets into the programs, and which faults show it.

    Attributes:
        is_found_as: the violations of which one is to be found.
        what: what it does, for people.
        agent: changes an agent's program.
        control: changes a replica's program.
        kinds: the faults, if it takes any.
        replicas: how many it takes.
    """

    is_found_as: frozenset[str]
    what: str
    agent: Callable[[], None] | None = None
    control: Callable[[], None] | None = None
    kinds: tuple[str, ...] = ()
    replicas: int = 1


def plant(name: str, program: str) -> None:
    """Put a bug into this process, which is about to become a program."""
    bug = BUGS[name]
    change = {"porthole_agent": bug.agent, "porthole_control": bug.control}.get(program)
    if change is not None:
        change()


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _said_before_it_is_done() -> None:
    """The agent says that a command has succeeded, and then begins with it."""
    desk = _module("porthole_agent.desk").Desk
    reports = _module("porthole_contract.link.reports")
    carry_out = desk._carry_out
    late: set[asyncio.Task[Any]] = set()

    async def later(self: Any, command: Any, *more: Any) -> None:
        await asyncio.sleep(_LATER)
        await carry_out(self, command, *more)

    async def said(self: Any, command: Any, *more: Any) -> Any:
        task = asyncio.create_task(later(self, command, *more))
        late.add(task)
        task.add_done_callback(late.discard)
        return reports.CommandResult(command=command.id, outcome=reports.Outcome.SUCCEEDED)

    desk._carry_out = said


def _links_are_never_old() -> None:
    """A replica keeps a link that another has replaced, and claims commands for it.

    Nor does the other one look for what was claimed and is not under way.
    """
    repository = _module("porthole_control.commands.repository")
    hub = _module("porthole_control.link.hub").Hub
    repository._CLAIM = text(_without(repository._CLAIM.text, r"AND epoch = :epoch "))

    async def nothing(_: Any) -> None:
        await asyncio.Event().wait()

    hub._end_old_links = nothing
    _module("porthole_control.commands.dispatch")._FORGOTTEN_SECONDS = 3600.0


def _keys_are_ignored() -> None:
    """A create that is sent again is done again."""
    endpoints = _module("porthole_control.sessions.endpoints")

    async def again(_unit: Any, _who: Any, _key: Any, _question: Any, make: Any, **_: Any) -> Any:
        return await make()

    endpoints.once = again


def _nobody_looks_by_themselves() -> None:
    """The dispatcher believes in its doorbell and looks at the queue only when it rings."""
    _module("porthole_control.commands.dispatch")._POLL_SECONDS = 3600.0


def _any_order_is_the_newest() -> None:
    """A session takes whatever order comes, without a look at its number."""
    keeper = _module("porthole_agent.runtimes.local.keeper")
    fence = _module("porthole_agent.runtimes.fence")

    def on_apply(order: int, *, held: int | None, ended: int | None) -> Any:
        if fence.too_late(order, ended):
            return fence.Apply.NOTHING
        return fence.Apply.MAKE if held is None else fence.Apply.CHANGE

    async def change(self: Any, order: int, spec: Any, template: Any, **more: Any) -> None:
        template = template if template.spec is not None else self.record.template
        held = self.record.evolve(spec=spec, template=template, **more)
        self.record = keeper.changed(held, order, keeper._now())
        await self._save()
        self.wake()

    keeper.Keeper.change = change
    fence.on_apply = on_apply


def _orders_come_twice() -> None:
    """Every order comes once more, late; and the session takes it."""
    _any_order_is_the_newest()
    desk = _module("porthole_agent.desk").Desk
    carry_out = desk._carry_out
    late: set[asyncio.Task[Any]] = set()

    async def again(self: Any, command: Any, *more: Any) -> None:
        await asyncio.sleep(_LATER)
        await carry_out(self, command, *more)

    async def once(self: Any, command: Any, *more: Any) -> Any:
        done = await carry_out(self, command, *more)
        if command.body.type == "ApplySession":
            task = asyncio.create_task(again(self, command, *more))
            late.add(task)
            task.add_done_callback(late.discard)
        return done

    desk._carry_out = once


def _records_go_first() -> None:
    """A session's end takes away its record and leaves what runs."""
    decide = _module("porthole_agent.runtimes.local.decide")
    phase = _module("porthole_contract.lifecycle").Phase
    decide._BY_PHASE[phase.TERMINATING] = lambda *_: decide.Remove()


def _orders_overtake() -> None:
    """An agent does everything at once, in any order; and the session takes it."""
    _any_order_is_the_newest()
    desk = _module("porthole_agent.desk").Desk
    late: set[asyncio.Task[Any]] = set()
    under_way: set[Any] = set()

    async def some_time(self: Any, command: Any) -> None:
        await asyncio.sleep(random.uniform(0.0, _LATER))
        result = await self._carry_out(command, None)
        under_way.discard(command.id)
        self._say(result)

    def take(self: Any, command: Any) -> None:
        if command.id not in under_way:
            under_way.add(command.id)
            task = asyncio.create_task(some_time(self, command))
            late.add(task)
            task.add_done_callback(late.discard)

    desk.take = take


def _sent_all_at_once() -> None:
    """A session's orders are sent without waiting for those before."""
    repository = _module("porthole_control.commands.repository")
    repository._CLAIM = text(_without(repository._CLAIM.text, r"subject\.busy IS NULL AND"))


def _without(statement: str, part: str) -> str:
    found, count = re.subn(part, "", statement)
    assert count == 1, f"{part} is not there any more; the bug needs another place"
    return found


BUGS = {
    "ack-before-effect": Bug(
        frozenset({"lost"}),
        "an agent says that an order has succeeded, and then begins with it",
        agent=_said_before_it_is_done,
        kinds=("agent-kill", "kills"),
    ),
    "no-epoch-check": Bug(
        frozenset({"lost", "order", "overdue"}),
        "a control plane keeps a link that another has replaced, and sends on it",
        control=_links_are_never_old,
        kinds=("link-late",),
        replicas=2,
    ),
    "no-idempotency-key": Bug(
        frozenset({"doubled"}),
        "a create that is sent again is done again",
        control=_keys_are_ignored,
    ),
    "no-poll": Bug(
        frozenset({"overdue", "lost"}),
        "the queue is looked at only when a doorbell rings",
        control=_nobody_looks_by_themselves,
        kinds=("doorbells",),
        replicas=2,
    ),
    "late-old-order": Bug(
        frozenset({"order"}),
        "every order comes once more, late, and is taken",
        agent=_orders_come_twice,
    ),
    "orphan-on-delete": Bug(
        frozenset({"orphan"}),
        "a session's end takes its record and leaves what runs",
        agent=_records_go_first,
    ),
    "reorder": Bug(
        frozenset({"order"}),
        "orders of one session overtake each other, and are taken",
        agent=_orders_overtake,
        control=_sent_all_at_once,
    ),
}
"""Every bug by its name."""
