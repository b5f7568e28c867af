"""One of several users of a cluster, each with a token, a session and a window of their own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from e2e.support.console import until_holds
from e2e.support.installed import Installed
from e2e.support.outside import Desktop
from porthole_client import AsyncPorthole
from porthole_client.models import Session
from tests.support.rfb_client import DEFAULT, EXTENDED_CLIPBOARD, RfbClient, WebSocketStream

_SHIFT, _INSERT = 0xFFE1, 0xFF63


@dataclass
class Colleague:
    """A user at work.

    Attributes:
        name: the user's.
        porthole: a client with their token.
        sessions: those that they have made.
    """

    name: str
    porthole: AsyncPorthole
    sessions: list[Session] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def of(cls, installed: Installed, name: str) -> AsyncIterator["Colleague"]:
        """Let somebody in; what they have made ends with the context."""
        async with installed.async_client() as admin:
            token = await admin.people.create_token(f"story-{name}", user=name)
            async with installed.async_client(token.token) as porthole:
                somebody = cls(name, porthole)
                try:
                    yield somebody
                finally:
                    for session in somebody.sessions:
                        await porthole.sessions.delete(session.id)
                    await admin.people.revoke_token(token.id)

    async def begin(self, name: str) -> Session:
        """Make a session and wait until it runs."""
        made = await self.porthole.sessions.create("desktop", name=name)
        self.sessions.append(made)
        return await self.porthole.sessions.wait_ready(made.id, timeout=90)

    async def end(self, session: Session) -> None:
        """End a session and wait until it has."""
        await self.porthole.sessions.delete(session.id)
        await self.porthole.sessions.wait_gone(session.id, timeout=60)

    @asynccontextmanager
    async def looking(self, session: Session) -> AsyncIterator[RfbClient]:
        """Look at a session all the time."""
        async with self.porthole.sessions.connect(session.id) as socket:
            through = WebSocketStream(socket)
            seen = await RfbClient.greet(through, through, (*DEFAULT, EXTENDED_CLIPBOARD))

            async def look() -> None:
                seen.request()
                while True:
                    if await seen.message() == 0:
                        seen.request()

            async with asyncio.TaskGroup() as tasks:
                looking = tasks.create_task(look())
                yield seen
                looking.cancel()


async def work(seen: RfbClient, desktop: Desktop, text: str, times: int) -> None:
    """Type commands and wait for what they do; `text` names them."""
    for number in range(times):
        said = f"{text}-{number}"
        # A desktop that is drawn may still be starting its terminal: it is typed again.
        for attempt in range(10):
            seen.type(f"echo {said} >> all; echo {said} > {text}\n")
            with contextlib.suppress(AssertionError):
                await until_holds(desktop, text, f"{said}\n")
                break
            assert attempt < 9, f"{said} was typed and did nothing"


async def paste(seen: RfbClient, desktop: Desktop, text: str) -> None:
    """Copy a text in one's own window and paste it into a file `pasted` of one's desktop."""
    seen.copy(text)
    for attempt in range(6):
        seen.type("\nhead -n 1 > pasted\n")
        await asyncio.sleep(0.5)
        seen.key(_SHIFT, down=True)
        seen.press(_INSERT)
        seen.key(_SHIFT, down=False)
        # The desktop asks the window for the text: keys would overtake it.
        await asyncio.sleep(1 + attempt)
        seen.type("\n")
        with contextlib.suppress(AssertionError):
            await until_holds(desktop, "pasted", f"{text}\n")
            return
    raise AssertionError(f"{text!r} was pasted and {desktop.read('pasted')!r} came")
