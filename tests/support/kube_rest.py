"""A test's own way to the API server: one request, as anybody, and what came of it.

Not a client library on purpose: what is tested is what the server says to the plain JSON that
any of them would send.
"""

from dataclasses import dataclass
from typing import Any, Self

import httpx

from tests.support.api_server import ApiServer

Json = dict[str, Any]

_GROUPS = {
    "v1": "/api/v1",
    "apps/v1": "/apis/apps/v1",
    "networking.k8s.io/v1": "/apis/networking.k8s.io/v1",
    "rbac.authorization.k8s.io/v1": "/apis/rbac.authorization.k8s.io/v1",
    "porthole.dev/v1alpha1": "/apis/porthole.dev/v1alpha1",
}
_PLURALS = {"NetworkPolicy": "networkpolicies"}


@dataclass(frozen=True)
class Answer:
    """What the server said: an object, or a Status that tells why not."""

    code: int
    body: Json

    @property
    def ok(self) -> bool:
        return self.code < 300

    @property
    def why(self) -> str:
        return "" if self.ok else self.body["message"]


class Rest:
    """Requests to one namespace; `user` names who makes one (None: the administrator)."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.namespace = namespace
        self._client = httpx.Client(
            base_url=server.url, verify=server._authority.context(), timeout=30
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def create(self, manifest: Json, *, user: str | None = None, keep: bool = False) -> Answer:
        """Create an object; without `keep` everything happens but that."""
        return self._send("POST", self._path(manifest), manifest, user, keep=keep)

    def replace(
        self, manifest: Json, *, part: str = "", user: str | None = None, keep: bool = False
    ) -> Answer:
        """Write an object over the one that is there, or its subresource `part`."""
        path = f"{self._path(manifest)}/{manifest['metadata']['name']}"
        return self._send("PUT", f"{path}/{part}".rstrip("/"), manifest, user, keep=keep)

    def get(self, manifest: Json) -> Answer:
        """Read the object that this manifest names."""
        path = f"{self._path(manifest)}/{manifest['metadata']['name']}"
        return self._send("GET", path, None, None, keep=True)

    def _path(self, manifest: Json) -> str:
        kind = manifest["kind"]
        plural = _PLURALS.get(kind, f"{kind.lower()}s")
        return f"{_GROUPS[manifest['apiVersion']]}/namespaces/{self.namespace}/{plural}"

    def _send(
        self, method: str, path: str, body: Json | None, user: str | None, *, keep: bool
    ) -> Answer:
        headers = {} if user is None else {"Impersonate-User": user}
        # A field that nobody knows is an error, as it is to kubectl.
        params = {"fieldValidation": "Strict", **({} if keep else {"dryRun": "All"})}
        response = self._client.request(
            method,
            path,
            json=body,
            headers=headers,
            params=params if body is not None else None,
        )
        return Answer(response.status_code, response.json())
