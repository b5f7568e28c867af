"""Keeps every Session as it should be: observe, decide, apply, and again until nothing is to do.

One worker for each Session, so that nothing about one happens at the same time; as many as
`AT_ONCE` look at once. A worker sleeps until somebody wakes it or its plan's time has come.
"""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from porthole_contract.conditions import Reason
from porthole_contract.errors import PortholeError
from porthole_contract.lifecycle import LASTING, Phase
from porthole_contract.session import ObjectStatus
from porthole_kube.errors import Conflicted, Missing
from porthole_operator.apply import Applier
from porthole_operator.decide import decide
from porthole_operator.gates import Gates
from porthole_operator.metrics import FAILED, LOOK_SECONDS, LOST, STARTED, TROUBLE, WRITES
from porthole_operator.observe import Observer
from porthole_operator.plan import Plan
from porthole_operator.subject import Subject
from porthole_telemetry import tracing

AT_ONCE: Final = 16
LONGEST_SLEEP: Final = 900.0
"""Seconds after which a Session is looked at whatever happens."""
_FIRST_RETRY: Final = 0.2
_LAST_RETRY: Final = 15.0
_MOST_STEPS: Final = 20
"""A Session that still changes after so many steps in a row lets others go first."""

Key = tuple[str, str]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Worker:
    """One Session's: `phase` and `reason` it was left in, `wrote` the version last written.

    There is one for each Session that there is; it keeps no more than it needs.
    """

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    uid: str | None = None
    template: str | None = None
    looked_well_at: float = -math.inf
    wrote: str | None = None
    phase: Phase = Phase.PENDING
    reason: str = ""


class Work:
    """All workers.

    Args:
        observer: looks.
        applier: writes.
        gates: what is listened to, and forgotten with its Session.
    """

    def __init__(self, observer: Observer, applier: Applier, gates: Gates) -> None:
        self._observer = observer
        self._applier = applier
        self._gates = gates
        self._workers: dict[Key, _Worker] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)

    def wake(self, namespace: str, name: str, version: str | None = None) -> None:
        """Look at a Session now; a `version` of it that we have written is no news."""
        key = (namespace, name)
        worker = self._workers.get(key)
        if worker is not None and version is not None and version == worker.wrote:
            return
        if worker is None:
            worker = self._workers[key] = _Worker()
            worker.task = asyncio.create_task(self._keep(key, worker), name=f"session {name}")
        worker.wake.set()

    def template_changed(self, namespace: str, name: str) -> None:
        """Look at those that wait for a template."""
        for key, worker in self._in(namespace):
            if worker.template == name and worker.phase in {Phase.PENDING, Phase.FAILED}:
                self.wake(*key)

    def home_changed(self, namespace: str) -> None:
        """Look at those that wait for a home."""
        for key, worker in self._in(namespace):
            if worker.reason in {Reason.HOME_IN_USE, Reason.HOME_UNREACHABLE}:
                self.wake(*key)

    def passing(self) -> Iterator[Key]:
        """Return the Sessions that are on their way from one phase to another."""
        for key, worker in list(self._workers.items()):
            if worker.phase not in LASTING:
                yield key

    def phases(self) -> Mapping[Phase, int]:
        """Return how many Sessions there are in each phase."""
        return Counter(worker.phase for worker in self._workers.values() if worker.uid is not None)

    async def close(self) -> None:
        """End all workers; what is being written is written or not."""
        tasks = [worker.task for worker in self._workers.values() if worker.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _in(self, namespace: str) -> Iterator[tuple[Key, _Worker]]:
        for key, worker in list(self._workers.items()):
            if key[0] == namespace:
                yield key, worker

    async def _keep(self, key: Key, worker: _Worker) -> None:
        retry = _FIRST_RETRY
        while True:
            worker.wake.clear()
            try:
                async with self._at_once:
                    with LOOK_SECONDS.time():
                        pause = await self._steps(key, worker)
            except (Conflicted, Missing) as error:
                TROUBLE.labels("fenced").inc()
                _log.debug("looked_again", session=key[1], why=str(error))
                pause, retry = retry, min(retry * 2, _LAST_RETRY)
            except PortholeError as error:
                TROUBLE.labels("cluster").inc()
                _log.warning("session_not_kept", session=key[1], why=str(error))
                pause, retry = retry, min(retry * 2, _LAST_RETRY)
            except Exception:  # noqa: BLE001 - a bug must not leave a session without its worker
                TROUBLE.labels("bug").inc()
                _log.exception("session_worker_failed", session=key[1])
                pause, retry = _LAST_RETRY, _LAST_RETRY
            else:
                retry = _FIRST_RETRY
            if pause is None:
                if not worker.wake.is_set():
                    self._forget(key, worker)
                    return
                pause = 0.0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await worker.wake.wait()

    async def _steps(self, key: Key, worker: _Worker) -> float | None:
        """Take steps until there is nothing to do; return how long to sleep, None for ever."""
        for _ in range(_MOST_STEPS):
            now = asyncio.get_running_loop().time()
            thorough = now - worker.looked_well_at > LONGEST_SLEEP
            world = await self._observer.look(*key, heard=worker.wake.set, thorough=thorough)
            if thorough:
                worker.looked_well_at = now
            if world is None:
                return None
            subject = world.subject
            if worker.uid not in {None, subject.uid}:
                self._gates.forget(worker.uid or "")
            worker.uid = subject.uid
            worker.template = None if subject.spec is None else subject.spec.template.name
            moment = datetime.now(UTC)
            done = await self._applier.apply(world, decide(subject, world.seen, moment))
            plan = done.plan
            _count(subject.status, plan, wrote=done.wrote, now=moment)
            _trace(subject, plan, moment)
            worker.phase, worker.reason = plan.status.phase, plan.status.reason
            worker.wrote = done.version or worker.wrote
            if not done.wrote:
                if plan.again is None:
                    return LONGEST_SLEEP
                return min(LONGEST_SLEEP, max(0.0, (plan.again - moment).total_seconds()))
        return _FIRST_RETRY

    def _forget(self, key: Key, worker: _Worker) -> None:
        del self._workers[key]
        if worker.uid is not None:
            self._gates.forget(worker.uid)
        # Its home may be free now.
        self.home_changed(key[0])


def _count(before: ObjectStatus, plan: Plan, *, wrote: bool, now: datetime) -> None:
    """Count what was done, and what it came to."""
    after = plan.status
    if wrote:
        action = "note" if plan.action is None else type(plan.action).__name__
        WRITES.labels(action).inc()
    LOST.inc(max(0, after.restarts - before.restarts))
    if before.phase is after.phase:
        return
    if after.phase is Phase.FAILED:
        FAILED.inc()
    begun = after.attempt.begun_at
    if after.phase is Phase.RUNNING and before.phase in {Phase.STARTING, Phase.WAKING} and begun:
        STARTED.observe(max(0.0, (now - begun).total_seconds()))


def _trace(subject: Subject, plan: Plan, now: datetime) -> None:
    """Tell of a start that has come to a picture; its gate tells of its part itself."""
    before, after = subject.status, plan.status
    begun, attempt = after.attempt.begun_at, after.attempt.number
    drawn = after.phase is Phase.RUNNING and before.phase in {Phase.STARTING, Phase.WAKING}
    if drawn and begun is not None:
        tracing.process().tell(
            "start pod",
            subject.traceparent,
            subject.start(attempt),
            begun,
            now,
            porthole_session=str(subject.id),
            porthole_attempt=attempt,
        )
