"""One session of a cluster: how it goes, and each way into it."""

import asyncio
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open import gate, judge, tickets
from porthole_client.cli.open.cluster import Cluster, Denied, Missing
from porthole_client.cli.open.forward import Dialler
from porthole_client.cli.open.judge import Seen
from porthole_client.cli.open.tickets import Opening
from porthole_client.cli.open.which import Choice
from porthole_contract.stream.channels import DESKTOPS
from porthole_kube.kinds import SESSIONS

_LOOK_EVERY: Final = 0.5


class Desktop:
    """A session by its name.

    Args:
        cluster: where it is.
        dialler: how its pod is reached.
        name: of the Session.
        watch_only: nothing but looking is asked for.
    """

    def __init__(
        self, cluster: Cluster, dialler: Dialler, name: str, *, watch_only: bool = False
    ) -> None:
        self._cluster = cluster
        self._dialler = dialler
        self.name = name
        self.watch_only = watch_only
        self._seen: Seen | None = None

    @property
    def where(self) -> Choice:
        """Its cluster and namespace."""
        return self._cluster.choice

    async def look(self) -> Seen:
        """Return how it is now; one that was there and is gone has ended.

        Raises:
            Failure: it was never there, or may not be read.
        """
        try:
            seen = judge.read(await self._cluster.get(SESSIONS, self.name))
        except Missing as error:
            if self._seen is None:
                raise self._unknown(error) from error
            self._seen = self._seen.gone()
            return self._seen
        except Denied as error:
            raise Failure(
                f"You may not look at session {self.name}: {error} It takes the right to get"
                " sessions.",
                Exit.NOT_ALLOWED,
            ) from error
        if self._seen is not None and self._seen.uid != seen.uid:
            # Another one of that name: not what somebody looks at.
            self._seen = self._seen.gone()
            return self._seen
        self._seen = seen
        return seen

    async def ready(self, within: float, tell: Callable[[str], None]) -> Seen:
        """Wait until it can be looked at, telling how it goes.

        Raises:
            Failure: it does not become ready, or not within so many seconds.
        """
        begun = time.monotonic()
        while judge.is_awaited(
            seen := await self.look(), waited := time.monotonic() - begun, self.where
        ):
            tell(judge.news(seen))
            if waited > within:
                raise Failure(
                    f"Session {self.name} is not ready after {within:.0f} s: {judge.news(seen)}",
                    Exit.TIMED_OUT,
                )
            await asyncio.sleep(_LOOK_EVERY)
        return seen

    async def ticket(self, mode: str, over: str | None = None) -> Opening:
        """Return what opens its gate once, over a protocol of its own or the usual one.

        Raises:
            Failure: it is not given.
        """
        seen = self._seen or await self.look()
        if seen.over:
            raise Failure(f"Session {self.name} has ended. {seen.words}".strip(), Exit.NOT_FOUND)
        over = over or seen.protocols[0]
        if over not in seen.protocols:
            raise Failure(f"Session {self.name} is seen over {' and '.join(seen.protocols)}.")
        channel = DESKTOPS.get(over, (over,))[0]
        return await tickets.ask(self._cluster, self.name, seen.owner, channel, mode)

    async def check_way(self, opening: Opening) -> None:
        """Check that its pod is reached, without saying anything to it.

        Raises:
            Failure: it is not.
        """
        async with self._dialler.dial(opening.pod, opening.port) as end:
            end.close()

    @asynccontextmanager
    async def screen(
        self, opening: Opening
    ) -> AsyncIterator[tuple[StreamReader, StreamWriter, bytes]]:
        """Yield its screen: what to read, what to write, and the first bytes.

        Raises:
            Failure: it is not opened.
        """
        async with self._dialler.dial(opening.pod, opening.port) as end:
            reader, writer, first = await gate.enter(end, opening)
            try:
                yield reader, writer, first
            finally:
                writer.transport.abort()

    def _unknown(self, error: Missing) -> Failure:
        context, namespace = self.where.context, self.where.namespace
        if error.kind_unknown:
            return Failure(
                f"The cluster of context {context} has no Sessions: Porthole is not installed"
                " there. See the README for `helm install`, or name another --context.",
                Exit.NOT_FOUND,
            )
        return Failure(
            f"There is no session {self.name} in namespace {namespace} of {context}. See"
            f" `{self.where.kubectl} get sessions -A`, and name its namespace with -n.",
            Exit.NOT_FOUND,
        )
