"""The API server, as whoever opens a session sees it: every call, with the official client."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Self

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open.kubeconfig import Kubeconfig
from porthole_client.cli.open.which import Choice
from porthole_contract.cluster import Kind, Object

_WITHIN: Final = 15.0
"""Seconds for a call."""
AGENT: Final = "porthole-open"
"""Who it is that asks: user agent and field manager."""


class Unanswered(Failure):
    """The API server cannot be reached, or cannot answer now."""


class Denied(Failure):
    """The API server understood and does not want it; its own words."""


class Missing(Failure):
    """It is not there.

    Args:
        sentence: the API server's words.
        code: the exit code.
        kind_unknown: the cluster has no such kind of objects at all.
    """

    def __init__(self, sentence: str, code: Exit, *, kind_unknown: bool) -> None:
        super().__init__(sentence, code)
        self.kind_unknown = kind_unknown


class Cluster:
    """One cluster and namespace, as the holder of a kubeconfig; to be used in `async with`."""

    def __init__(self, kubeconfig: Kubeconfig) -> None:
        self._kubeconfig = kubeconfig
        self._client: ApiClient | None = None
        self._former: ApiClient | None = None  # some calls may still be under way with it
        self._renewing = asyncio.Lock()

    @property
    def choice(self) -> Choice:
        """Which context and namespace."""
        return self._kubeconfig.choice

    async def __aenter__(self) -> Self:
        """Read the credentials; nothing is asked yet."""
        await self._renew(None)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._close()

    async def get(self, kind: Kind, name: str) -> Object:
        """Return one object.

        Raises:
            Missing: there is none.
            Denied: it may not be read.
            Unanswered: nobody can say.
        """
        return await self._call("GET", kind.path(self.choice.namespace, name))

    async def create(self, kind: Kind, thing: Object) -> Object:
        """Make an object.

        Raises:
            Missing: the cluster has no such kind.
            Denied: it may not be made.
            Unanswered: nobody can say.
        """
        query = {"fieldManager": AGENT}
        return await self._call("POST", kind.path(self.choice.namespace), query, thing)

    async def delete(self, kind: Kind, name: str) -> None:
        """Delete an object, if it is there and that is allowed."""
        with suppress(Failure):
            await self._call("DELETE", kind.path(self.choice.namespace, name))

    async def socket(
        self, session: aiohttp.ClientSession, path: str, query: Mapping[str, str], protocol: str
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket to a path of the API server.

        Raises:
            aiohttp.ClientError: it is not opened.
        """
        client = self._given
        configuration: Configuration = client.configuration
        # What is connected is of no kind that can be asked for.
        url, headers = await self._said("GET", path, query, accept="*/*")
        return await session.ws_connect(
            f"ws{url.removeprefix('http')}",
            headers=headers,
            protocols=(protocol,),
            heartbeat=30.0,
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            ssl=client.rest_client.ssl_context,
            server_hostname=configuration.tls_server_name,
            proxy=configuration.proxy,
        )

    # Inside

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
    ) -> Object:
        client = self._client
        status, data = await self._ask(method, path, query, body)
        if status == HTTPStatus.UNAUTHORIZED:
            # A plugin's token is good for minutes, and somebody may look for hours.
            await self._renew(client)
            status, data = await self._ask(method, path, query, body)
        if status >= HTTPStatus.BAD_REQUEST:
            raise self._failure(status, data)
        found: Object = json.loads(data)
        return found

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Object | None
    ) -> tuple[int, bytes]:
        url, headers = await self._said(method, path, query)
        timeout = aiohttp.ClientTimeout(total=_WITHIN)
        try:
            answer = await self._given.call_api(
                method, url, headers, body, _request_timeout=timeout
            )
            response: aiohttp.ClientResponse = answer.response
            return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or "it does not answer in time"
            raise Unanswered(
                f"The cluster of context {self.choice.context} cannot be reached: {why}.",
                Exit.UNREACHABLE,
            ) from error

    async def _said(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        *,
        accept: str = "application/json",
    ) -> tuple[str, dict[str, str]]:
        """Return the address and the headers of a call; the credentials are among them."""
        _, url, headers, _, _ = await self._given.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": accept, "Content-Type": "application/json"},
            auth_settings=["BearerToken"],
        )
        return url, headers

    def _failure(self, status: int, data: bytes) -> Failure:
        """Return what an answer that is no success means."""
        try:
            words = str(json.loads(data)["message"])
        except (ValueError, LookupError, TypeError):
            words = ""
        context = self.choice.context
        match status:
            case HTTPStatus.UNAUTHORIZED:
                return Denied(
                    f"The cluster of context {context} does not know who you are. Sign in to it"
                    f" again, until `{self.choice.kubectl} auth whoami` answers.",
                    Exit.NOT_ALLOWED,
                )
            case HTTPStatus.NOT_FOUND:
                # What is no object's path is answered without a Status.
                return Missing(words, Exit.NOT_FOUND, kind_unknown=not words)
            case _ if status < HTTPStatus.INTERNAL_SERVER_ERROR and (
                status != HTTPStatus.TOO_MANY_REQUESTS
            ):
                return Denied(words or f"It answered {status}.", Exit.NOT_ALLOWED)
            case _:
                return Unanswered(
                    f"The cluster of context {context} cannot do it now:"
                    f" {words or f'it answered {status}.'}",
                    Exit.UNREACHABLE,
                )

    @property
    def _given(self) -> ApiClient:
        assert self._client is not None, "it is used in `async with`"
        return self._client

    async def _renew(self, refused: ApiClient | None) -> None:
        """Read the kubeconfig, and credentials from whatever it names; once for all who need it."""
        async with self._renewing:
            if self._client is not refused:
                return
            made = ApiClient(await self._kubeconfig.configuration())
            made.user_agent = AGENT
            former, self._former, self._client = self._former, self._client, made
            await _close(former)

    async def _close(self) -> None:
        await _close(self._former)
        await _close(self._client)


async def _close(client: ApiClient | None) -> None:
    if client is not None:
        await client.close()  # type: ignore[no-untyped-call]  # the library's
