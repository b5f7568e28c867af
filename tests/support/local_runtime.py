"""A local runtime in a folder of its own, with real containers, for tests.

    async with a_runtime(folder) as place:
        session = await place.create(name="one", owner="alice")
        await place.until(session, Phase.RUNNING)
        viewer = await place.view(session)

As a program (`python -m tests.support.local_runtime FOLDER JSON`) it does a list of steps
and ends; a failpoint in its environment may end it sooner.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_agent.runtimes.local.host import NEEDED
from porthole_agent.runtimes.local.makers import container_name
from porthole_agent.runtimes.local.offers import own_templates
from porthole_agent.runtimes.local.runtime import LocalRuntime
from porthole_agent.runtimes.local.settings import LocalSettings
from porthole_agent.runtimes.port import Observation
from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import Exposure
from porthole_contract.session import SessionSpec
from porthole_contract.stream.channels import PROTOCOLS, Channel
from porthole_contract.stream.grant import Claims, SigningKey, issue, nonce
from porthole_contract.stream.preface import Decoder, Denied, Request, encode, read_answer
from porthole_contract.template import PinnedTemplate, SessionTemplateSpec
from tests.support.desktop_pair import NotAdmitted
from tests.support.rfb_client import RfbClient

CANNOT = (
    "it needs root"
    if os.geteuid() != 0
    else ", ".join(name for name in (*NEEDED, "Xvnc") if shutil.which(name) is None)
)
"""Why real desktops cannot be run here; empty if they can."""

KEY = SigningKey("agent-1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
"""One key for all lives of a runtime: its gates know it."""


def the_desktop(name: str = "desktop", **changes: Any) -> SessionTemplateSpec:
    """Return the template `desktop`, or another, changed."""
    spec = next(t.spec for t in own_templates() if t.name == name)
    return SessionTemplateSpec.model_validate({**spec.to_dict(), **changes})


class Place:
    """A runtime with what a test wants to know about it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.runtime = LocalRuntime(LocalSettings(directory=folder, **settings), KEY)
        self.seen: list[Observation] = []
        self._changed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def open(self, *, fresh: bool = False) -> None:
        await self.runtime.open()
        self._listening = asyncio.create_task(self._listen())
        await asyncio.sleep(0)
        if fresh:
            await self.runtime.end_everything()
        await self.runtime.start()

    async def leave(self) -> None:
        """Stop looking; what runs goes on, as when the agent is killed."""
        await self._stop_listening()
        await self.runtime.close()

    async def end(self) -> None:
        """Delete every session and stop."""
        inventory = await self.runtime.inventory()
        await asyncio.gather(
            *(self.runtime.delete(s.session, s.order + 1) for s in inventory.sessions)
        )
        await self._stop_listening()
        await self.runtime.stop_all()

    async def create(
        self,
        name: str = "one",
        owner: str = "alice",
        *,
        session: UUID | None = None,
        template: SessionTemplateSpec | None = None,
        **spec: Any,
    ) -> UUID:
        session = session or uuid4()
        await self.apply(session, 1, name=name, owner=owner, template=template, **spec)
        return session

    async def apply(
        self,
        session: UUID,
        order: int,
        *,
        name: str = "one",
        owner: str = "alice",
        template: SessionTemplateSpec | None = None,
        pinned: PinnedTemplate | None = None,
        exposed: Exposure | None = None,
        **spec: Any,
    ) -> None:
        content = template or the_desktop()
        wanted = {"owner": owner, "template": "desktop", **spec}
        await self.runtime.apply(
            session,
            order,
            name=name,
            owner=owner,
            spec=SessionSpec.model_validate(wanted),
            template=pinned
            or PinnedTemplate(name="desktop", revision=1, digest=content.digest(), spec=content),
            exposed=exposed,
        )

    async def now(self, session: UUID) -> Observation | None:
        sessions = (await self.runtime.inventory()).sessions
        return next((s for s in sessions if s.session == session), None)

    async def until(
        self,
        session: UUID,
        *phases: Phase,
        reason: str | None = None,
        restarts: int = 0,
        seconds: float = 30,
    ) -> Observation:
        """Wait until the session is in one of these phases, restarted so often at least."""
        async with asyncio.timeout(seconds):
            while True:
                self._changed.clear()
                found = await self.now(session)
                if found is None:
                    found = next((o for o in reversed(self.seen) if o.session == session), None)
                if (
                    found is not None
                    and found.status.phase in phases
                    and reason in {None, found.status.reason}
                    and found.status.restarts >= restarts
                ):
                    return found
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await self._changed.wait()

    async def stream(
        self,
        session: UUID,
        channel: str = "vnc",
        mode: str = "control",
        *,
        fingerprint: str | None = None,
        wire: str = "",
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a stream at the session's gate, as the agent does for a viewer."""
        if fingerprint is None:
            found = await self.now(session)
            assert found is not None
            assert found.status.gate is not None
            fingerprint = found.status.gate.fingerprint
        now = datetime.now(UTC)
        claims = Claims(
            session=session,
            gate=fingerprint,
            channel=channel,
            mode=mode,
            nonce=nonce(os.urandom(16)),
            expires=now + timedelta(seconds=30),
        )
        request = Request(
            stream=uuid4(),
            channel=channel,
            protocol=wire or PROTOCOLS[Channel(channel)][0],
            mode=mode,
            grant=issue(KEY, claims, now),
        )
        reader, writer = await self.runtime.connect_gate(session)
        writer.write(encode(request))
        decoder = Decoder()
        try:
            while (whole := decoder.feed(await reader.readexactly(1))) is None:
                pass
        except BaseException:
            writer.transport.abort()
            raise
        answer = read_answer(whole[0])
        if isinstance(answer, Denied):
            writer.close()
            raise NotAdmitted(answer.error.code, answer.error.message)
        return reader, writer

    async def view(self, session: UUID, mode: str = "control") -> RfbClient:
        reader, writer = await self.stream(session, mode=mode)
        return await RfbClient.greet(reader, writer)

    def inside(
        self, session: UUID, script: str, *, part: str = "desktop", seconds: float = 20
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script in a session's container, as its user, with no more rights."""
        return subprocess.run(
            [
                *("timeout", str(seconds), "runc", "--root", str(self.folder / "runc"), "exec"),
                *(container_name(session, part), "sh", "-c", script),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self, session: UUID, part: str = "desktop") -> dict[str, int]:
        """Return {program: pid on this machine} of a session's container."""
        return {name: pid for pid, name in self.all_processes(session, part)}

    def all_processes(self, session: UUID, part: str = "desktop") -> list[tuple[int, str]]:
        """Return (pid on this machine, program) of every process of a session's container."""
        group = Path("/sys/fs/cgroup/pids") / container_name(session, part)
        if not group.exists():
            group = Path("/sys/fs/cgroup") / container_name(session, part)
        pids = [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
        return [(pid, Path(f"/proc/{pid}/comm").read_text().strip()) for pid in pids]

    def journal(self, session: UUID) -> list[tuple[str, int, int]]:
        """Return (event, order, restarts) of everything that was done with a session."""
        lines = map(json.loads, (self.folder / "journal.jsonl").read_text().splitlines())
        return [
            (line["event"], line["order"], line["restarts"])
            for line in lines
            if line["session"] == str(session)
        ]

    async def _listen(self) -> None:
        async for change in self.runtime.observe():
            if isinstance(change, Observation):
                self.seen.append(change)
            self._changed.set()

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening


@contextlib.asynccontextmanager
async def a_runtime(folder: Path, *, fresh: bool = False, **settings: Any) -> AsyncIterator[Place]:
    """Open a runtime; whatever it runs is deleted at the end."""
    place = Place(folder, **settings)
    await place.open(fresh=fresh)
    try:
        yield place
    finally:
        await place.end()


async def _main(folder: Path, steps: list[list[Any]]) -> None:
    """Do steps: ["fresh"], ["create", id, template], ["crash", id], ["until", id, restarts],
    ["delete", id].

    `until` waits until it is running, and was begun again at least so many times.
    """
    place = Place(folder)
    await place.open(fresh=steps[:1] == [["fresh"]])
    for step, *words in steps:
        match step:
            case "create":
                await place.create(session=UUID(words[0]), template=the_desktop(words[1]))
            case "until":
                await place.until(UUID(words[0]), Phase.RUNNING, restarts=words[1])
            case "crash":
                running = place.processes(UUID(words[0]))
                os.kill(running.get("Xvnc") or running["Xorg"], signal.SIGKILL)
            case "delete":
                await place.runtime.delete(UUID(words[0]), 2)
    await place.leave()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), json.loads(sys.argv[2])))
