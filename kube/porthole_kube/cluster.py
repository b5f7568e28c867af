"""The API server: every call that is made to it, with the official client.

Objects are plain dictionaries, in and out. Errors are sorted by what a caller can do about
them, see `errors`.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config.config_exception import ConfigException

from porthole_contract.cluster import Kind, Object
from porthole_contract.errors import Refused
from porthole_kube.errors import Missing, Unanswered, of_status, unreachable
from porthole_kube.objects import key_of, version_of

_APPLY: Final = "application/apply-patch+yaml"  # of which JSON is a part
_YAML: Final = "application/yaml"
_MERGE: Final = "application/merge-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_WITHIN: Final = 10.0
"""Seconds for a call."""
_LIST_WITHIN: Final = 60.0
_CONNECTIONS: Final = 64
_PAGE: Final = 500
_LONGEST_LOG: Final = 1024 * 1024

Objects = list[Object]


class Cluster:
    """The API server of one cluster; close it.

    Args:
        configuration: where it is, and who we are to it.
        manager: the field manager of what is written, and the user agent.
    """

    def __init__(self, configuration: Configuration, manager: str) -> None:
        # Where other things are reached through a proxy, the API server is not.
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.connection_pool_maxsize = _CONNECTIONS
        self.configuration = configuration
        self._manager = manager
        self._client = ApiClient(configuration)
        self._client.user_agent = manager

    @classmethod
    async def connect(cls, kubeconfig: Path | None, manager: str) -> Self:
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
            raise Refused("no_cluster", f"There is no cluster here: {error}.") from error
        return cls(configuration, manager)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the library's

    # Reading

    async def get(
        self, kind: Kind, namespace: str | None, name: str, *, within: float = _WITHIN
    ) -> Object | None:
        """Return one object, or None."""
        try:
            return await self._object(_Call("GET", kind.path(namespace, name)), within)
        except Missing:
            return None

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        cached: bool = False,
    ) -> Objects:
        """Return all objects of a kind that the selectors choose.

        Args:
            kind: of what.
            namespace: where; None: everywhere.
            labels: a selector.
            fields: a selector.
            cached: take what the API server has at hand, which may be a little old.
        """
        query = {"labelSelector": labels, "fieldSelector": fields}
        query = {name: value for name, value in query.items() if value}
        if cached:
            query["resourceVersion"] = "0"
        found, _ = await self._pages(kind, namespace, query)
        return found

    async def list_to_watch(self, kind: Kind, namespace: str) -> tuple[Objects, str]:
        """Return all objects of a kind, and the version from which to watch on."""
        return await self._pages(kind, namespace, {})

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
            raise unreachable(error) from error
        try:
            if not answer.ok:
                raise of_status(answer.status, await answer.read())
            while line := await answer.content.readline():
                news = json.loads(line)
                if news["type"] == "ERROR":
                    code = int(news["object"].get("code", 500))
                    raise of_status(code, json.dumps(news["object"]))
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
        return (await self._carry_out(_Call("GET", path, query), _WITHIN)).decode(errors="replace")

    # Writing

    async def create(self, kind: Kind, thing: Object, *, dry_run: bool = False) -> Object:
        """Make an object.

        It is sent as YAML, of which JSON is a part: then the server keeps whatever has no
        schema (a ControllerRevision's data) as it writes it itself. Otherwise it keeps our
        spaces, takes its own writing for a change when it patches the object, and refuses.

        Raises:
            Conflicted: there is one of that name.
            Denied: the cluster does not want it.
        """
        query = {"fieldManager": self._manager, **({"dryRun": "All"} if dry_run else {})}
        path = kind.path(thing["metadata"].get("namespace"))
        return await self._object(_Call("POST", path, query, json.dumps(thing), _YAML))

    async def apply(
        self, kind: Kind, thing: Object, *, manager: str = "", part: str = ""
    ) -> Object:
        """Apply an object (or the fields in `thing`) on the server's side.

        A uid and a resourceVersion in it are conditions: it is this object, in this state.

        Args:
            kind: of what.
            thing: the fields that shall be so.
            manager: whose they are, if not ours.
            part: a subresource, such as `status`.

        Raises:
            Conflicted: it is not the object, or not in the state, that `thing` names.
            Denied: the cluster does not want it.
        """
        query = {"fieldManager": manager or self._manager, "force": "true"}
        path = kind.path(*key_of(thing), part)
        return await self._object(_Call("PATCH", path, query, thing, _APPLY))

    async def merge(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Object,
        *,
        strategic: bool = False,
        part: str = "",
    ) -> Object:
        """Change fields of an object; a uid or a resourceVersion in the patch is a condition.

        Args:
            kind: of what.
            namespace: where.
            name: which.
            patch: the fields that change, those that go with None.
            strategic: lists are merged by their key, not replaced.
            part: a subresource, such as `status`.

        Raises:
            Missing: it is not there.
            Conflicted: it is not in the state that the patch names.
        """
        query = {"fieldManager": self._manager}
        content = _STRATEGIC if strategic else _MERGE
        path = kind.path(namespace, name, part)
        return await self._object(_Call("PATCH", path, query, patch, content))

    async def replace(self, kind: Kind, thing: Object, *, within: float = _WITHIN) -> Object:
        """Replace an object that was read.

        Raises:
            Missing: it is not there.
            Conflicted: it was changed since.
        """
        return await self._object(_Call("PUT", kind.path(*key_of(thing)), body=thing), within)

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        uid: str,
        *,
        version: str | None = None,
        grace: int | None = None,
        foreground: bool = False,
    ) -> bool:
        """Delete exactly the object with this uid; return whether it was there.

        Args:
            kind: of what.
            namespace: where; empty for what is in none.
            name: which.
            uid: who it must be.
            version: the state that it must be in.
            grace: seconds it has to end; None leaves it to the object.
            foreground: keep it until what belongs to it is gone.

        Raises:
            Conflicted: it is another one by now, or in another state.
        """
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid, **({"resourceVersion": version} if version else {})},
            "propagationPolicy": "Foreground" if foreground else "Background",
        }
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            await self._carry_out(_Call("DELETE", kind.path(namespace, name), body=body), _WITHIN)
        except Missing:
            return False
        return True

    # Inside

    async def _pages(
        self, kind: Kind, namespace: str | None, query: Mapping[str, str]
    ) -> tuple[Objects, str]:
        """Return what all pages hold; each of them tells of the same moment."""
        asked = {"limit": str(_PAGE), **query}
        found: Objects = []
        while True:
            page = await self._object(_Call("GET", kind.path(namespace), asked), _LIST_WITHIN)
            found += page.get("items") or []
            asked["continue"] = page["metadata"].get("continue") or ""
            if not asked["continue"]:
                return found, version_of(page)
            asked.pop("resourceVersion", None)  # it is told by `continue`

    async def _object(self, call: "_Call", within: float = _WITHIN) -> Object:
        found: Object = json.loads(await self._carry_out(call, within))
        return found

    async def _carry_out(self, call: "_Call", within: float) -> bytes:
        try:
            answer = await self._send(call, aiohttp.ClientTimeout(total=within))
            data = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error) from error
        if not answer.ok:
            raise of_status(answer.status, data)
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
