"""Who is asking? The one place where requests and sockets are told apart by their caller.

A bearer token counts wherever it comes from. A cookie is sent by browsers on their own
account, so it counts only together with an Origin of ours: always on what changes
something, and on sockets; on plain reads only if the browser sent one at all.

Good answers are remembered for two seconds, so that a busy client costs one look-up;
revoking rings a bell that makes every replica forget at once.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from time import monotonic
from urllib.parse import urlsplit
from uuid import UUID

from starlette.requests import HTTPConnection

from porthole_control.background import keep_going
from porthole_control.db.database import Database, Unit
from porthole_control.db.doorbell import Bell, Doorbell
from porthole_control.errors import Forbidden, Unauthenticated
from porthole_control.people import repository, rules, service
from porthole_control.people.rules import Principal

_REMEMBERED_SECONDS = 2.0
_MOST_REMEMBERED = 10_000
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Finds out who is asking.

    Args:
        cookie: the name of this instance's cookie, without `__Host-`.
        origins: web origins that count as ours besides the one a request is sent to.

    Attributes:
        revocations: rises whenever a right was taken away; who serves somebody for long
            looks again then.
    """

    def __init__(self, *, cookie: str, origins: Iterable[str] = ()) -> None:
        self._cookie = cookie
        self._origins = frozenset(origins)
        self._remembered: dict[bytes, tuple[float, Principal]] = {}
        self._used = set[UUID]()
        self.revocations = 0

    def cookie_name(self, *, secure: bool) -> str:
        """Return the cookie's name: under TLS, no other host or path can set it."""
        return f"__Host-{self._cookie}" if secure else self._cookie

    async def identify(self, connection: HTTPConnection, unit: Unit) -> Principal:
        """Return who sent this request or opens this socket.

        Raises:
            Unauthenticated: nobody whom we know.
            Forbidden: a browser sent its cookie on behalf of a foreign page.
        """
        kind, _, text = connection.headers.get("authorization", "").partition(" ")
        if text:
            if kind.lower() != "bearer":
                raise Unauthenticated("Send the token as 'Authorization: Bearer ...'.")
            return await self._known(unit, rules.TOKEN, text.strip())
        secure = connection.url.scheme in {"https", "wss"}
        cookie = connection.cookies.get(self.cookie_name(secure=secure))
        if cookie is None:
            raise Unauthenticated
        must_say = (
            connection.scope["type"] == "websocket"
            or connection.scope["method"] not in _SAFE_METHODS
        )
        self.check_origin(connection, required=must_say)
        return await self._known(unit, rules.COOKIE, cookie)

    def check_origin(self, connection: HTTPConnection, *, required: bool) -> None:
        """Check that a browser's page of ours is asking.

        Args:
            connection: the request or socket.
            required: whether saying nothing is refused too.

        Raises:
            Forbidden: the page is foreign, or it is not said whose it is.
        """
        origin = connection.headers.get("origin")
        if origin is None:
            if required:
                raise Forbidden("The browser did not say which page asks.", code="wrong_origin")
            return
        secure = connection.url.scheme in {"https", "wss"}
        own = f"{'https' if secure else 'http'}://{connection.headers.get('host', '')}".lower()
        if origin.lower() != own and origin.lower() not in self._origins:
            raise Forbidden("A page of another site may not ask that.", code="wrong_origin")

    async def _known(self, unit: Unit, prefix: str, text: str) -> Principal:
        memory = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        found = self._remembered.get(memory)
        if found is not None and found[0] > monotonic():
            principal = found[1]
        else:
            rights = self.revocations
            principal = await service.authenticate(unit, text, prefix=prefix)
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            if rights == self.revocations:  # else it may be what was just taken away
                self._remembered[memory] = (monotonic() + _REMEMBERED_SECONDS, principal)
        self._used.add(principal.token_id)
        return principal

    def forget(self) -> None:
        """Look everybody up again: a right was taken away."""
        self._remembered.clear()
        self.revocations += 1

    async def forget_when_told(self, doorbell: Doorbell) -> None:
        """Forget whenever something was revoked; runs until it is cancelled."""
        with doorbell.hearing(Bell.ACCESS) as hearing:
            while True:
                if await hearing.next(60.0):
                    self.forget()

    async def write_down_use(self, database: Database, *, every: float = 30.0) -> None:
        """Note from time to time which tokens were used; runs until it is cancelled."""
        while True:
            await asyncio.sleep(every)
            await keep_going("token use", lambda: self._write_down(database))

    async def _write_down(self, database: Database) -> None:
        used = frozenset(self._used)
        if used:
            async with database.unit() as unit:
                await repository.note_use(unit.connection, used, unit.now)
        self._used -= used


def origin_of(url: str) -> str:
    """Return the web origin of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
