"""A scripted agent whose sessions are drawn, asleep or gone as soon as that is ordered."""

from typing import Any

from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import ApplySession, Command, DeleteSession
from porthole_contract.link.reports import SessionObserved
from porthole_contract.session import Desired, SessionStatus
from tests.support.scripted_agent import ScriptedAgent


class DrawingAgent(ScriptedAgent):
    """Does what it is told in no time, and says so."""

    def _received(self, items: tuple[Any, ...]) -> None:
        super()._received(items)
        for item in items:
            if isinstance(item, Command):
                self._carry_out(item.body)

    def _carry_out(self, body: Any) -> None:
        if isinstance(body, ApplySession):
            running = body.spec.desired is Desired.RUNNING
            phase, reason = (Phase.RUNNING, "Drawn") if running else (Phase.HIBERNATED, "Requested")
            self._about[body.session] = body
            self.say(self._observed(body, phase, reason))
        elif isinstance(body, DeleteSession) and body.session in self._about:
            applied = self._about.pop(body.session)
            self.say(self._observed(applied, Phase.TERMINATED, "Requested", gone=True))

    def _observed(
        self, body: ApplySession, phase: Phase, reason: str, *, gone: bool = False
    ) -> SessionObserved:
        return SessionObserved(
            session=body.session,
            name=body.name,
            owner=body.owner,
            order=body.order,
            desired=body.spec.desired,
            spec=body.spec,
            status=SessionStatus(phase=phase, reason=reason, order=body.order, home=body.home),
            gone=gone,
        )

    @property
    def _about(self) -> dict[Any, ApplySession]:
        found: dict[Any, ApplySession] = self.__dict__.setdefault("applied", {})
        return found
