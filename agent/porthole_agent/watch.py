"""Eyes on the runtime: what it shows becomes news.

`Watch` follows the runtime's changes, remembers the last view of each session (streams ask
it who owns one), and takes a complete inventory when one is wanted and every few minutes.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Literal, TypeVar
from uuid import UUID, uuid4

import structlog

from porthole_agent import news as report
from porthole_agent.metrics import INVENTORIES
from porthole_agent.news import News
from porthole_agent.runtimes import port
from porthole_contract.errors import PortholeError
from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import HomeObserved

_log = structlog.get_logger(__name__)

_T = TypeVar("_T")

_SETTLED_AFTER = 0.25
_AGAIN_AFTER = 1.0
"""Seconds."""
_USES_EVERY = 15.0
"""Seconds after which it is told again what sessions use."""


class Watch:
    """Turns what the runtime shows into news.

    Args:
        runtime: what is watched.
        kind: `local` or `kubernetes`, for the control plane.
        news: where reports are owed.
        program: name and version of this agent.
        every: how often everything is reported.
    """

    def __init__(
        self,
        runtime: port.Runtime,
        news: News,
        *,
        kind: Literal["local", "kubernetes"],
        program: str,
        every: timedelta,
    ) -> None:
        self._runtime = runtime
        self._news = news
        self._kind = kind
        self._program = program
        self._every = every.total_seconds()
        self._wanted = asyncio.Event()
        self._sessions: dict[UUID, port.Observation] = {}
        self._agent_changed = asyncio.Event()
        self._in_use = False

    def seen(self, session: UUID) -> port.Observation | None:
        """Return the last view of a session."""
        return self._sessions.get(session)

    def phases(self) -> Mapping[Phase, int]:
        """Return how many sessions there are in each phase."""
        return Counter(one.status.phase for one in self._sessions.values())

    def want_inventory(self) -> None:
        """Have everything reported soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._take_inventories())
            tasks.create_task(self._tell_of_the_agent())

    async def _follow(self) -> None:
        async for change in self._runtime.observe():
            self._tell(change)

    def _tell(self, change: port.Change) -> None:
        match change:
            case port.Observation():
                if change.status.phase is Phase.TERMINATED:
                    self._sessions.pop(change.session, None)
                else:
                    self._sessions[change.session] = change
                self._news.observed(report.of_session(change))
                self._agent_changed.set()
            case port.Home():
                self._news.observed(report.of_home(change))
            case port.HomeGone():
                self._news.owe(HomeObserved(home=change.home, owner="-", size=0, gone=True))
            case port.Offer() | port.UseHeard():
                self._agent_changed.set()

    async def _tell_of_the_agent(self) -> None:
        """Report capacity and offers soon after they may have changed, many changes at once.

        What sessions use is told with them, and again from time to time while any use something.
        After the last change all is told once more: a runtime may have answered from a look at
        its machines that is a little older, and what had gone since would count as taken.
        """
        again = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_USES_EVERY if self._in_use or again else None):
                    await self._agent_changed.wait()
            await asyncio.sleep(_SETTLED_AFTER)
            again = self._agent_changed.is_set()
            self._agent_changed.clear()
            self._tell_overview(await self._look(self._runtime.overview))

    def _tell_overview(self, seen: port.Overview) -> None:
        self._in_use = bool(seen.uses)
        self._news.agent(report.of_agent(seen, runtime=self._kind, program=self._program))

    async def _look(self, look: Callable[[], Awaitable[_T]]) -> _T:
        """Return what there is; a look that fails is no reason to end every desktop."""
        while True:
            try:
                return await look()
            except (OSError, PortholeError) as error:
                _log.warning("inventory_failed", why=str(error) or type(error).__name__)
                await asyncio.sleep(_AGAIN_AFTER)

    async def _take_inventories(self) -> None:
        while True:
            self._wanted.clear()
            seen = await self._look(self._runtime.inventory)
            self._sessions = {one.session: one for one in seen.sessions}
            self._tell_overview(seen.overview)
            INVENTORIES.inc()
            self._news.inventory(report.of_inventory(seen, uuid4()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._wanted.wait()
