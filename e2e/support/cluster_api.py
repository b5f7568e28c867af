"""The API server as its administrator sees it: plain requests, without a program for each."""

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import httpx
import yaml

Json = dict[str, Any]
_MERGE = "application/merge-patch+json"


class ClusterApi:
    """Requests to one API server; `kubeconfig` says which, and with which certificate."""

    def __init__(self, kubeconfig: Path) -> None:
        said = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        place, user = said["clusters"][0]["cluster"], said["users"][0]["user"]
        authority = base64.b64decode(place["certificate-authority-data"]).decode()
        trust = ssl.create_default_context(cadata=authority)
        with TemporaryDirectory() as folder:
            file = Path(folder) / "pem"
            parts = ("client-certificate-data", "client-key-data")
            file.write_bytes(b"\n".join(base64.b64decode(user[part]) for part in parts))
            trust.load_cert_chain(file)
        self._client = httpx.AsyncClient(base_url=place["server"], verify=trust, timeout=20)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> Json | None:
        """Return an object; None if there is none."""
        answer = await self._client.get(path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _said(answer)

    async def items(self, path: str, labels: str = "") -> list[Json]:
        """Return the items of a list."""
        answer = await self._client.get(path, params={"labelSelector": labels} if labels else {})
        items: list[Json] = _said(answer)["items"]
        return items

    async def patch(self, path: str, change: Json, kind: str = _MERGE) -> Json:
        """Merge something into an object."""
        headers = {"Content-Type": kind}
        return _said(await self._client.patch(path, content=json.dumps(change), headers=headers))

    async def create(self, path: str, thing: Json) -> Json:
        """Make an object."""
        return _said(await self._client.post(path, json=thing))

    async def delete(self, path: str, **options: Any) -> None:
        """Delete an object; that there is none is as good."""
        answer = await self._client.request("DELETE", path, json=options)
        if answer.status_code != httpx.codes.NOT_FOUND:
            _said(answer)

    @asynccontextmanager
    async def watched(self, path: str) -> AsyncIterator[list[Json]]:
        """Have every version of every object of a list, in their order, from now on.

        What is deleted is the last version of it, with `DELETED` as its `event`.
        """
        seen: list[Json] = []
        version = _said(await self._client.get(path))["metadata"]["resourceVersion"]
        watching = asyncio.create_task(self._watch(path, version, seen))
        try:
            yield seen
        finally:
            broke = watching.done()
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            assert not broke, f"the watch of {path} ended"

    async def _watch(self, path: str, version: str, seen: list[Json]) -> None:
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "3000"}
        async with self._client.stream("GET", path, params=query, timeout=None) as lines:
            async for line in lines.aiter_lines():
                told = json.loads(line)
                seen.append({**told["object"], "event": told["type"]})


def _said(answer: httpx.Response) -> Json:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.text}"
    said: Json = answer.json()
    return said
