"""The API server: every call that the operator makes to it, with the official client.

Objects are plain dictionaries. Errors are sorted by what a caller can do about them: what was
not answered may be tried again, what is in conflict is looked at again, and what the cluster
denies is told to whoever asked for it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config.config_exception import ConfigException

from porthole_contract.cluster import Kind, Object
from porthole_contract.errors import PortholeError, Refused
from porthole_contract.names import OPERATOR

_APPLY: Final = "application/apply-patch+yaml"  # of which JSON is a part
_YAML: Final = "application/yaml"
_MERGE: Final = "application/merge-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_WITHIN: Final = 10.0
"""Seconds for a call."""
_CONNECTIONS: Final = 64
_PAGE: Final = 500


class Unanswered(PortholeError):
    """The API server cannot be reached or cannot answer now; trying again may help."""

    code = "cluster_unreachable"


class Missing(PortholeError):
    """There is no such object."""

    code = "object_missing"


class Conflicted(PortholeError):
    """The object is there already, is another one, or is not as it was read any more."""

    code = "object_changed"


class Denied(PortholeError):
    """The cluster understood and does not want it: no right, no quota, not valid."""

    code = "cluster_denied"


class Cluster:
    """The API server of one cluster; close it."""

    def __init__(self, configuration: Configuration) -> None:
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.connection_pool_maxsize = _CONNECTIONS
        self.configuration = configuration
        self._client = ApiClient(configuration)
        self._client.user_agent = OPERATOR

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
            raise Refused("no_cluster", f"There is no cluster here: {error}.") from error
        return cls(configuration)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the library's

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """Return one object, or None."""
        try:
            return await self._call("GET", kind.path(namespace, name))
        except Missing:
            return None

    async def list(
        self, kind: Kind, namespace: str, *, labels: str = "", fields: str = ""
    ) -> list[Object]:
        """Return all objects of a kind in a namespace that the selectors choose."""
        query = {"limit": str(_PAGE), "labelSelector": labels, "fieldSelector": fields}
        query = {name: value for name, value in query.items() if value}
        found: list[Object] = []
        while True:
            page = await self._call("GET", kind.path(namespace), query)
            found += page.get("items") or []
            goes_on = page["metadata"].get("continue")
            if not goes_on:
                return found
            query["continue"] = goes_on

    async def create(self, kind: Kind, thing: Object, *, dry_run: bool = False) -> Object:
        """Make an object.

        Raises:
            Conflicted: there is one of that name.
            Denied: the cluster does not want it.
        """
        path = kind.path(thing["metadata"]["namespace"])
        query = {"fieldManager": OPERATOR, **({"dryRun": "All"} if dry_run else {})}
        # As YAML (of which JSON is a part) the API server stores it in an order of its own, and
        # finds a ControllerRevision's data unchanged when it adds an owner to it.
        return await self._call("POST", path, query, json.dumps(thing), _YAML)

    async def apply(
        self, kind: Kind, thing: Object, *, manager: str = OPERATOR, part: str = ""
    ) -> Object:
        """Apply an object (or the fields in `thing`) on the server's side.

        A uid and a resourceVersion in it are conditions: it is this object, in this state.

        Raises:
            Conflicted: it is not.
            Denied: the cluster does not want it.
        """
        metadata = thing["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"], part)
        query = {"fieldManager": manager, "force": "true"}
        return await self._call("PATCH", path, query, thing, _APPLY)

    async def merge(
        self, kind: Kind, namespace: str, name: str, patch: Object, *, strategic: bool = False
    ) -> Object:
        """Change fields of an object; a resourceVersion in the patch is a condition.

        Lists are replaced, or merged by their key if `strategic`.

        Raises:
            Missing: it is not there.
            Conflicted: it is not in that state.
        """
        query = {"fieldManager": OPERATOR}
        content = _STRATEGIC if strategic else _MERGE
        return await self._call("PATCH", kind.path(namespace, name), query, patch, content)

    async def replace(self, kind: Kind, thing: Object) -> Object:
        """Replace an object that was read.

        Raises:
            Conflicted: it was changed since.
        """
        metadata = thing["metadata"]
        return await self._call(
            "PUT", kind.path(metadata["namespace"], metadata["name"]), {}, thing
        )

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
    ) -> None:
        """Delete exactly the object with this uid; one that is not there is no error.

        Args:
            kind: of what.
            namespace: where.
            name: which.
            uid: who it must be.
            version: the state that it must be in.
            grace: seconds it has to end; None leaves it to the object.
            foreground: keep it until what belongs to it is gone.

        Raises:
            Conflicted: it is another one by now, or in another state.
        """
        preconditions = {"uid": uid, **({"resourceVersion": version} if version else {})}
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": "Foreground" if foreground else "Background",
        }
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            await self._call("DELETE", kind.path(namespace, name), {}, options)
        except Missing:
            return

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | str | None = None,
        content: str = "application/json",
    ) -> Object:
        _, url, headers, _, _ = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content},
            auth_settings=["BearerToken"],
        )
        try:
            answer = await self._client.call_api(
                method, url, headers, body, _request_timeout=aiohttp.ClientTimeout(total=_WITHIN)
            )
            response: aiohttp.ClientResponse = answer.response
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or type(error).__name__
            raise Unanswered(f"The API server cannot be reached: {why}.") from error
        if not response.ok:
            raise _error(response.status, data)
        found: Object = json.loads(data)
        return found


def _error(status: int, data: bytes) -> PortholeError:
    """Return what an answer that is no success means."""
    try:
        said: Any = json.loads(data)
        message = str(said["message"])
    except (ValueError, KeyError, TypeError):
        message = f"It answered {status}."
    match status:
        case 404:
            return Missing(message)
        case 409:
            return Conflicted(message)
        case 400 | 403 | 405 | 413 | 415 | 422:
            return Denied(message)
        case _:
            return Unanswered(f"The API server cannot do it now: {message}")
