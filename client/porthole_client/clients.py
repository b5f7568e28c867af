"""`Porthole` and `AsyncPorthole`: the nouns of the API as attributes, their verbs as methods."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self
from uuid import UUID

from websockets.asyncio.client import ClientConnection
from websockets.sync.client import ClientConnection as SyncConnection

from porthole_client import sockets
from porthole_client.drivers import (
    AsyncDesktop,
    AsyncDriver,
    AsyncNoun,
    SyncDesktop,
    SyncDriver,
    SyncNoun,
    deed,
    verb,
)
from porthole_client.files import AsyncHomeFiles, HomeFiles
from porthole_client.models import Session
from porthole_client.nouns import (
    agents,
    commands,
    desktops,
    homes,
    people,
    rdp_servers,
    sessions,
    templates,
    users,
)
from porthole_client.place import find
from porthole_client.programs import Output, Ran, run, run_async, run_message
from porthole_client.steps import Retry
from porthole_client.talks import AsyncFrames, SyncFrames

if TYPE_CHECKING:
    from porthole_client.native.door import Door, Telling


class _Sessions:
    create = verb(sessions.create)
    list = verb(sessions.list_)
    get = verb(sessions.get)
    change = verb(sessions.change)
    hibernate = verb(sessions.hibernate)
    wake = verb(sessions.wake)
    delete = verb(sessions.delete)
    wait_ready = verb(sessions.wait_ready)
    wait_phase = verb(sessions.wait_phase)
    wait_gone = verb(sessions.wait_gone)
    ticket = verb(sessions.ticket)
    events = verb(sessions.events)
    logs = verb(sessions.logs)


class _Deeds:
    screenshot = deed(desktops.screenshot)
    act = deed(desktops.act)
    type = deed(desktops.type_)
    press = deed(desktops.press)
    click = deed(desktops.click)
    move = deed(desktops.move)
    drag = deed(desktops.drag)
    scroll = deed(desktops.scroll)
    wait_still = deed(desktops.wait_still)
    wait_window = deed(desktops.wait_window)
    clipboard = deed(desktops.clipboard)
    copy = deed(desktops.copy)
    copied_picture = deed(desktops.copied_picture)
    copy_picture = deed(desktops.copy_picture)


class Desktop(_Deeds, SyncDesktop):
    """One session's desktop: what it shows, its keys, pointer and clipboard."""


class AsyncDesk(_Deeds, AsyncDesktop):
    """One session's desktop: what it shows, its keys, pointer and clipboard."""


class _Templates:
    list = verb(templates.list_)
    get = verb(templates.get)
    create = verb(templates.create)
    replace = verb(templates.replace)
    delete = verb(templates.delete)


class _Homes:
    list = verb(homes.list_)
    rename = verb(homes.rename)
    delete = verb(homes.delete)


class _RdpServers:
    create = verb(rdp_servers.create)
    list = verb(rdp_servers.list_)
    get = verb(rdp_servers.get)
    change = verb(rdp_servers.change)
    start = verb(rdp_servers.start)
    stop = verb(rdp_servers.stop)
    restart = verb(rdp_servers.restart)
    expose = verb(rdp_servers.expose)
    hide = verb(rdp_servers.hide)
    delete = verb(rdp_servers.delete)
    try_connection = verb(rdp_servers.try_connection)


class _Agents:
    list = verb(agents.list_)
    get = verb(agents.get)
    join_token = verb(agents.join_token)
    drain = verb(agents.drain)
    revoke = verb(agents.revoke)


class _People:
    me = verb(people.me)
    tokens = verb(people.tokens)
    create_token = verb(people.create_token)
    revoke_token = verb(people.revoke_token)
    sign_in_link = verb(people.sign_in_link)


class _Users:
    list = verb(users.list_)
    call_in_clusters = verb(users.call_in_clusters)


class _Commands:
    list = verb(commands.list_)
    get = verb(commands.get)


class Sessions(_Sessions, SyncNoun):
    """Desktops."""

    @contextmanager
    def connect(
        self,
        session: UUID | str,
        *,
        mode: str = "control",
        channel: str | None = None,
        protocol: str | None = None,
    ) -> Iterator[SyncConnection]:
        """Open a stream of a session: a WebSocket of the desktop's own bytes."""
        ticket = self.ticket(session, mode=mode, channel=channel, protocol=protocol)
        with sockets.open_sync(self.driver.place, ticket) as stream:
            yield stream

    @contextmanager
    def files(self, session: UUID | str, *, mode: str = "control") -> Iterator[HomeFiles]:
        """Reach the files of a session's home; `mode="view"` changes none."""
        with self.connect(session, mode=mode, channel="files") as stream:
            yield HomeFiles(SyncFrames(stream))

    def exec(
        self,
        session: UUID | str,
        command: Sequence[str],
        *,
        stdin: bytes | BinaryIO | Iterable[bytes] = b"",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        seconds: float | None = None,
        output: Output | None = None,
    ) -> Ran:
        """Run a program in a session's desktop, as its user, and return how it ended.

        Args:
            session: its id.
            command: the program and its arguments; no shell is between.
            stdin: what it reads.
            env: variables beside those of the desktop.
            cwd: the folder to run in, seen from the home.
            seconds: how long it may take; None: as long as the connection lasts.
            output: is given what it says as it says it, 1 or 2 and bytes; None: it is returned.

        Raises:
            ProgramFault: it was not run.
            StreamLost: the connection was lost, and the program ended.
        """
        asked = run_message(command, env, cwd, seconds)
        with self.connect(session, channel="exec") as stream:
            return run(stream, asked, stdin, output)

    @contextmanager
    def running(self, template: str, *, patience: float = 180.0, **spec: Any) -> Iterator[Session]:
        """Have a session for as long as the context lasts: made, ready, and ended after it."""
        session = self.create(template, **spec)
        try:
            yield self.wait_ready(session.id, timeout=patience)
        finally:
            self.delete(session.id)


class AsyncSessions(_Sessions, AsyncNoun):
    """Desktops."""

    @asynccontextmanager
    async def connect(
        self,
        session: UUID | str,
        *,
        mode: str = "control",
        channel: str | None = None,
        protocol: str | None = None,
    ) -> AsyncIterator[ClientConnection]:
        """Open a stream of a session: a WebSocket of the desktop's own bytes."""
        ticket = await self.ticket(session, mode=mode, channel=channel, protocol=protocol)
        async with sockets.open_async(self.driver.place, ticket) as stream:
            yield stream

    @asynccontextmanager
    async def files(
        self, session: UUID | str, *, mode: str = "control"
    ) -> AsyncIterator[AsyncHomeFiles]:
        """Reach the files of a session's home; `mode="view"` changes none."""
        async with self.connect(session, mode=mode, channel="files") as stream:
            over = AsyncFrames(stream)
            try:
                yield AsyncHomeFiles(over)
            finally:
                await over.close()

    async def exec(
        self,
        session: UUID | str,
        command: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] = b"",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        seconds: float | None = None,
        output: Output | None = None,
    ) -> Ran:
        """Run a program in a session's desktop; see `Sessions.exec`."""
        asked = run_message(command, env, cwd, seconds)
        async with self.connect(session, channel="exec") as stream:
            return await run_async(stream, asked, stdin, output)

    @asynccontextmanager
    async def running(
        self, template: str, *, patience: float = 180.0, **spec: Any
    ) -> AsyncIterator[Session]:
        """Have a session for as long as the context lasts: made, ready, and ended after it."""
        session = await self.create(template, **spec)
        try:
            yield await self.wait_ready(session.id, timeout=patience)
        finally:
            await self.delete(session.id)

    @asynccontextmanager
    async def door(
        self,
        session: UUID | str,
        *,
        over: str,
        mode: str = "control",
        port: int = 0,
        path: Path | None = None,
        tell: "Telling | None" = None,
    ) -> "AsyncIterator[Door]":
        """Have a door on this machine for RDP or VNC programs, for as long as the context lasts.

        Args:
            session: its id.
            over: `rdp` or `vnc`, as its desktop is looked at.
            mode: `control`, or `view` to look only.
            port: on 127.0.0.1; 0 takes a free one.
            path: of a unix socket, instead.
            tell: who is told of passwords and of what happens.
        """
        from porthole_client.native.door import opened  # noqa: PLC0415 - others do without it

        async with opened(
            self, session, over=over, mode=mode, port=port, path=path, tell=tell
        ) as door:
            yield door


class Templates(_Templates, SyncNoun):
    """What sessions are made from."""


class AsyncTemplates(_Templates, AsyncNoun):
    """What sessions are made from."""


class Homes(_Homes, SyncNoun):
    """Users' files."""


class AsyncHomes(_Homes, AsyncNoun):
    """Users' files."""


class RdpServers(_RdpServers, SyncNoun):
    """What is started as a session, again and again."""


class AsyncRdpServers(_RdpServers, AsyncNoun):
    """What is started as a session, again and again."""


class Agents(_Agents, SyncNoun):
    """Where sessions run."""


class AsyncAgents(_Agents, AsyncNoun):
    """Where sessions run."""


class People(_People, SyncNoun):
    """Who is asking, and with which tokens."""


class AsyncPeople(_People, AsyncNoun):
    """Who is asking, and with which tokens."""


class Users(_Users, SyncNoun):
    """Who there is, and who they are in clusters."""


class AsyncUsers(_Users, AsyncNoun):
    """Who there is, and who they are in clusters."""


class Commands(_Commands, SyncNoun):
    """The queue."""


class AsyncCommands(_Commands, AsyncNoun):
    """The queue."""


_PATIENT = Retry()


class Porthole:
    """A Porthole for blocking programs; use it in a `with`, or call `close`.

    Args:
        server: its address; None takes PORTHOLE_SERVER, else this machine's own instance.
        token: the right to use it; None takes PORTHOLE_TOKEN, else the instance's own.
        fingerprint: SHA-256 of the certificate to trust, for a self-made one.
        timeout: seconds that one request may take.
        retry: how often a request is repeated when it is not answered.
    """

    def __init__(
        self,
        server: str | None = None,
        token: str | None = None,
        *,
        fingerprint: str | None = None,
        timeout: float = 30.0,
        retry: Retry = _PATIENT,
    ) -> None:
        place = find(server=server, token=token, fingerprint=fingerprint)
        self._driver = driver = SyncDriver(place, timeout=timeout, retry=retry)
        self.sessions = Sessions(driver)
        self.templates = Templates(driver)
        self.homes = Homes(driver)
        self.rdp_servers = RdpServers(driver)
        self.agents = Agents(driver)
        self.people = People(driver)
        self.users = Users(driver)
        self.commands = Commands(driver)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def desktop(self, session: Session | UUID | str) -> Desktop:
        """Return a session's desktop, for a program to look at and use."""
        return Desktop(self._driver, session.id if isinstance(session, Session) else session)

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()


class AsyncPorthole:
    """A Porthole for asyncio programs; use it in an `async with`, or call `aclose`.

    The arguments are those of `Porthole`.
    """

    def __init__(
        self,
        server: str | None = None,
        token: str | None = None,
        *,
        fingerprint: str | None = None,
        timeout: float = 30.0,
        retry: Retry = _PATIENT,
    ) -> None:
        place = find(server=server, token=token, fingerprint=fingerprint)
        self._driver = driver = AsyncDriver(place, timeout=timeout, retry=retry)
        self.sessions = AsyncSessions(driver)
        self.templates = AsyncTemplates(driver)
        self.homes = AsyncHomes(driver)
        self.rdp_servers = AsyncRdpServers(driver)
        self.agents = AsyncAgents(driver)
        self.people = AsyncPeople(driver)
        self.users = AsyncUsers(driver)
        self.commands = AsyncCommands(driver)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def desktop(self, session: Session | UUID | str) -> AsyncDesk:
        """Return a session's desktop, for a program to look at and use."""
        found = session.id if isinstance(session, Session) else session
        return AsyncDesk(self._driver, found)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._driver.aclose()
