"""The API server: every call that the agent makes to it, with the official client.

Answers are plain objects. Errors are sorted by what a caller can do about them: what was not
answered may be tried again, what is missing or in conflict is looked at again, and what the
cluster refuses is told to whoever ordered it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config.config_exception import ConfigException

from porthole_agent.runtimes.kubernetes.resources import key_of, uid_of, version_of
from porthole_contract.cluster import Kind, Object
from porthole_contract.errors import PortholeError, Refused
from porthole_contract.names import AGENT

_APPLY: Final = "application/apply-patch+yaml"  # of which JSON is a part
_YAML: Final = "application/yaml"
_MERGE: Final = "application/merge-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_WITHIN: Final = 10.0
"""Seconds for a call."""
_LIST_WITHIN: Final = 60.0
_CONNECTIONS: Final = 64
_LONGEST_LOG: Final = 1024 * 1024


class Unanswered(PortholeError):
    """The API server cannot be reached or cannot answer now; trying again may help."""

    code = "cluster_unreachable"


class Missing(PortholeError):
    """There is no such object."""

    code = "object_missing"


class Conflicted(PortholeError):
    """The object is there already, or another one, or is not as it was read any more."""

    code = "object_changed"


class Expired(PortholeError):
    """The API server has forgotten the state that a watch should go on from."""

    code = "watch_expired"


class Api:
    """The API server of one cluster; close it."""

    def __init__(self, configuration: Configuration) -> None:
        # Where the control plane is reached through a proxy, the API server is not.
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.connection_pool_maxsize = _CONNECTIONS
        self._client = ApiClient(configuration)
        self._client.user_agent = AGENT

    @classmethod
    async def connect(cls, kubeconfig: Path | None) -> Self:
        """Return the API server that a kubeconfig names, or a pod's own.

        Raises:
            Refused: there is none, or it cannot be read.
        """
        configuration = Configuration()
        try:
            if kubeconfig is None:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # the library's
            else:
                await config.load_kube_config(  # type: ignore[no-untyped-call]  # the library's
                    config_file=str(kubeconfig),
                    client_configuration=configuration,
                    persist_config=False,
                )
        except (ConfigException, OSError) as error:
            raise Refused(
                "no_cluster", f"There is no cluster to run desktops in: {error}."
            ) from error
        return cls(configuration)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the library's

    # Reading

    async def get(
        self, kind: Kind, namespace: str | None, name: str, *, within: float = _WITHIN
    ) -> Object | None:
        """Return one object, or None."""
        try:
            return await self._object(_Call("GET", kind.path(namespace, name)), within=within)
        except Missing:
            return None

    async def list(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", cached: bool = False
    ) -> tuple[list[Object], str]:
        """Return all objects of a kind, and the version from which to watch on.

        Args:
            kind: of what.
            namespace: where; None: everywhere.
            labels: a selector.
            cached: take what the API server has at hand, which may be a little old.
        """
        query = {"labelSelector": labels} if labels else {}
        if cached:
            query["resourceVersion"] = "0"
        found = await self._object(_Call("GET", kind.path(namespace), query), within=_LIST_WITHIN)
        return found.get("items") or [], version_of(found)

    async def watch(
        self, kind: Kind, namespace: str, version: str, *, seconds: float
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield what changes after `version` as (ADDED, MODIFIED or DELETED, object).

        It ends after so many seconds, by itself.

        Raises:
            Expired: the version is too old.
            Unanswered: the connection was lost.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        patience = aiohttp.ClientTimeout(total=None, sock_connect=_WITHIN, sock_read=seconds + 10)
        try:
            answer = await self._send(_Call("GET", kind.path(namespace), query), patience)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error
        try:
            if not answer.ok:
                raise _error(answer.status, await answer.read())
            while line := await answer.content.readline():
                news = json.loads(line)
                if news["type"] == "ERROR":
                    raise _error(int(news["object"].get("code", 500)), json.dumps(news["object"]))
                yield news["type"], news["object"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unanswered(f"A watch was lost: {error or type(error).__name__}.") from error
        finally:
            answer.close()

    async def log(self, namespace: str, pod: str, container: str, *, lines: int) -> str:
        """Return the last lines that a container has said."""
        query = {
            "container": container,
            "tailLines": str(lines),
            "limitBytes": str(_LONGEST_LOG),
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        return (await self._carry_out(_Call("GET", path, query))).decode(errors="replace")

    # Writing

    async def create(self, kind: Kind, thing: Object) -> Object:
        """Make an object.

        It is sent as YAML, of which JSON is a part: then the server keeps whatever has no
        schema (a ControllerRevision's data) as it writes it itself. Otherwise it keeps our
        spaces, takes its own writing for a change when it patches the object, and refuses.

        Raises:
            Conflicted: there is one of that name.
        """
        path = kind.path(thing["metadata"].get("namespace"))
        text = json.dumps(thing)
        return await self._object(_Call("POST", path, {"fieldManager": AGENT}, text, _YAML))

    async def apply(self, kind: Kind, thing: Object) -> Object:
        """Apply an object on the server's side, as its fields' one manager.

        Raises:
            Conflicted: it is not the object, or not in the state, that `thing` names.
        """
        query = {"fieldManager": AGENT, "force": "true"}
        return await self._object(_Call("PATCH", kind.path(*key_of(thing)), query, thing, _APPLY))

    async def merge(
        self, kind: Kind, namespace: str, name: str, patch: Object, *, strategic: bool = False
    ) -> Object:
        """Change fields of an object; lists are replaced, or merged by key if `strategic`.

        Raises:
            Missing: it is not there.
            Conflicted: it is not in the state that the patch names.
        """
        content = _STRATEGIC if strategic else _MERGE
        query = {"fieldManager": AGENT}
        path = kind.path(namespace, name)
        return await self._object(_Call("PATCH", path, query, patch, content))

    async def replace(self, kind: Kind, thing: Object, *, within: float = _WITHIN) -> Object:
        """Replace an object that was read.

        Raises:
            Missing: it is not there.
            Conflicted: it was changed since.
        """
        return await self._object(
            _Call("PUT", kind.path(*key_of(thing)), body=thing), within=within
        )

    async def delete(self, kind: Kind, thing: Object, *, foreground: bool = False) -> None:
        """Delete exactly this object, in exactly this state.

        Args:
            kind: of what.
            thing: as it was read.
            foreground: keep it until what belongs to it is gone.

        Raises:
            Missing: it is not there.
            Conflicted: it was changed since, or is another one by now.
        """
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid_of(thing), "resourceVersion": version_of(thing)},
            "propagationPolicy": "Foreground" if foreground else "Background",
        }
        await self._carry_out(_Call("DELETE", kind.path(*key_of(thing)), body=body))

    # Inside

    async def _object(self, call: "_Call", *, within: float = _WITHIN) -> Object:
        found: Object = json.loads(await self._carry_out(call, within=within))
        return found

    async def _carry_out(self, call: "_Call", *, within: float = _WITHIN) -> bytes:
        try:
            answer = await self._send(call, aiohttp.ClientTimeout(total=within))
            data = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error
        if not answer.ok:
            raise _error(answer.status, data)
        return data

    async def _send(self, call: "_Call", patience: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        _, url, headers, _, _ = await self._client.param_serialize(
            call.method,
            call.path,
            query_params=list(call.query.items()),
            header_params={"Accept": "application/json", "Content-Type": call.content},
            auth_settings=["BearerToken"],
        )
        answer = await self._client.call_api(
            call.method, url, headers, call.body, _request_timeout=patience
        )
        response: aiohttp.ClientResponse = answer.response
        return response


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: `content` is what the body is."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Object | str | None = None
    content: str = "application/json"


def _unreachable(error: BaseException) -> Unanswered:
    if isinstance(error, asyncio.TimeoutError):
        return Unanswered("The cluster's API server does not answer in time.")
    return Unanswered(
        f"The cluster's API server cannot be reached: {error or type(error).__name__}."
    )


def _error(status: int, body: bytes | str) -> PortholeError:
    """Return what an answer that is no success means."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = f"it answered {status}"
    match status:
        case 404:
            return Missing(message)
        case 409:
            return Conflicted(message)
        case 410:
            return Expired(message)
        case 401 | 429 | 500 | 502 | 503 | 504:
            return Unanswered(f"The cluster's API server cannot do it now: {message}.")
        case _:
            return Refused("cluster_refused", f"The cluster refuses it: {message}.")
