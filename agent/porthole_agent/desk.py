"""Commands carried out, each once and in the order of its subject.

The desk outlives links. What it has and what it has done stands in its ledger: a command that
comes again is not begun a second time, its result is said again.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from porthole_agent.ledger import Ledger, Subject, Taken
from porthole_agent.metrics import COMMAND_SECONDS, COMMANDS, COMMANDS_AGAIN, UNFINISHED
from porthole_agent.runtimes.port import Runtime
from porthole_contract.errors import PortholeError, Refused
from porthole_contract.link.commands import (
    ApplySession,
    Command,
    DeleteHome,
    DeleteSession,
    TemplateContent,
)
from porthole_contract.link.reports import CommandResult, Outcome, WantTemplate
from porthole_contract.template import PinnedTemplate
from porthole_telemetry import tracing

_log = structlog.get_logger(__name__)

AT_ONCE = 256
"""How many commands may be unfinished; more are left with the control plane."""
_CONTENT_MISSING = "template_content_missing"
_CONTENT_WITHIN = 30.0
"""Seconds in which the content of a template has to come when it was asked for."""


class Desk:
    """Carries out commands against the runtime.

    Args:
        runtime: where sessions run.
        say: queues something for the control plane.
    """

    def __init__(
        self, runtime: Runtime, say: Callable[[CommandResult | WantTemplate], None]
    ) -> None:
        self._runtime = runtime
        self._say = say
        self._ledger = Ledger()
        self._workers: set[asyncio.Task[None]] = set()
        self._contents: dict[str, asyncio.Future[TemplateContent]] = {}
        self._patience: dict[asyncio.Timeout, str] = {}
        self._linked = True

    @property
    def room(self) -> int:
        """How many more commands can be taken in now."""
        return AT_ONCE - len(self._ledger)

    def take(self, command: Command) -> None:
        """Take in a command; its result is said when it is known."""
        taken = self._ledger.take(command)
        UNFINISHED.set(len(self._ledger))
        match taken:
            case Taken.DONE:
                COMMANDS_AGAIN.inc()
                self._say(self._ledger.result(command.id))
            case Taken.BEGIN:
                worker = asyncio.create_task(self._work(command.subject), name=f"{command.subject}")
                self._workers.add(worker)
                worker.add_done_callback(self._workers.discard)

    def content(self, content: TemplateContent) -> None:
        """Take in the content of a template that was asked for."""
        waiting = self._contents.get(content.digest)
        if waiting is not None and not waiting.done() and content.spec.digest() == content.digest:
            waiting.set_result(content)

    def linked(self, *, anew: bool) -> None:
        """Go on waiting for contents; ask again if the control plane has forgotten."""
        self._linked = True
        self._wait_until(self._deadline())
        if anew:
            for digest in sorted(set(self._patience.values())):
                self._say(WantTemplate(digest=digest))

    def unlinked(self) -> None:
        """Nobody can send contents now: that they do not come is no failure."""
        self._linked = False
        self._wait_until(None)

    async def close(self) -> None:
        """Stop working; what was not finished is sent again to the next agent."""
        for worker in tuple(self._workers):
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self, subject: Subject) -> None:
        try:
            while (command := self._ledger.turn(subject)) is not None:
                begun = time.monotonic()
                live = _span(command)
                result = await self._carry_out(command, live.traceparent)
                live.end(
                    "" if result.outcome is not Outcome.FAILED else result.message,
                    porthole_outcome=str(result.outcome),
                )
                self._ledger.finish(subject, result)
                COMMANDS.labels(command.body.type, str(result.outcome)).inc()
                COMMAND_SECONDS.labels(command.body.type).observe(time.monotonic() - begun)
                self._say(result)
        finally:
            self._ledger.drop(subject)
            UNFINISHED.set(len(self._ledger))

    async def _carry_out(self, command: Command, traceparent: str | None) -> CommandResult:
        try:
            await self._effect(command, traceparent)
        except PortholeError as error:
            _log.info("command_failed", command=str(command.id), code=error.code, why=str(error))
            return CommandResult(
                command=command.id,
                outcome=Outcome.FAILED,
                code=error.code[:64],
                message=str(error)[:2000],
            )
        except Exception as error:  # noqa: BLE001 - one command must not end the others
            _log.exception("command_crashed", command=str(command.id))
            return CommandResult(
                command=command.id,
                outcome=Outcome.FAILED,
                code="internal",
                message=f"The agent could not do it ({type(error).__name__}); its log says more.",
            )
        return CommandResult(command=command.id, outcome=Outcome.SUCCEEDED)

    async def _effect(self, command: Command, traceparent: str | None) -> None:
        match command.body:
            case ApplySession() as body:
                try:
                    await self._apply(body, body.template, traceparent)
                except Refused as error:
                    if error.code != _CONTENT_MISSING or body.template.spec is not None:
                        raise
                    await self._apply(body, await self._whole(body.template), traceparent)
            case DeleteSession() as body:
                await self._runtime.delete(body.session, body.order)
            case DeleteHome() as body:
                await self._runtime.delete_home(body.home)

    async def _apply(
        self, body: ApplySession, template: PinnedTemplate, traceparent: str | None
    ) -> None:
        await self._runtime.apply(
            body.session,
            body.order,
            name=body.name,
            owner=body.owner,
            spec=body.spec,
            template=template,
            home=body.home,
            exposed=body.exposed,
            traceparent=traceparent,
        )

    async def _whole(self, template: PinnedTemplate) -> PinnedTemplate:
        """Return the template with its content, which is asked for.

        Raises:
            Refused: it did not come.
        """
        waiting = self._contents.setdefault(
            template.digest, asyncio.get_running_loop().create_future()
        )
        self._say(WantTemplate(digest=template.digest))
        patience = asyncio.timeout_at(self._deadline() if self._linked else None)
        try:
            async with patience:
                self._patience[patience] = template.digest
                content = await asyncio.shield(waiting)
                del self._patience[patience]
        except TimeoutError:
            raise Refused(
                _CONTENT_MISSING,
                f"The content of the template '{template.name}' did not come.",
            ) from None
        finally:
            self._patience.pop(patience, None)
            if template.digest not in self._patience.values():
                self._contents.pop(template.digest, None)  # nobody else waits for it
        return template.model_copy(update={"spec": content.spec})

    def _wait_until(self, when: float | None) -> None:
        for patience in self._patience:
            with contextlib.suppress(RuntimeError):  # its time has just run out
                patience.reschedule(when)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + _CONTENT_WITHIN


def _span(command: Command) -> tracing.Live:
    """Begin the span of a command."""
    given = getattr(command.body, "traceparent", None)
    return tracing.process().begin(
        f"carry out {command.body.type}",
        given,
        "consumer",
        porthole_subject=str(command.subject[1]),
        porthole_command=str(command.id),
    )
