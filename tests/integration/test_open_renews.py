"""`porthole open` when its credentials have run out, and several things are asked at once."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from kubernetes.aio.client import Configuration

from porthole_client.cli.open.cluster import Cluster
from porthole_kube.kinds import PODS


class Kubeconfig:
    """Names a cluster on this machine; its plugin takes longer the second time."""

    def __init__(self, url: str) -> None:
        self.choice = SimpleNamespace(context="here", namespace="default", kubectl="kubectl")
        self.renewed = 0
        self._url = url

    async def configuration(self) -> Configuration:
        self.renewed += 1
        await asyncio.sleep(0.05 * self.renewed)
        return Configuration(host=self._url)


async def test_those_who_are_refused_together_get_new_credentials_once() -> None:
    asked = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked <= 2:
            return web.Response(status=401)
        await asyncio.sleep(0.2)
        return web.Response(text=json.dumps({"kind": "Pod"}))

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        kubeconfig: Any = Kubeconfig(f"http://{host}:{port}")
        async with Cluster(kubeconfig) as cluster:
            found = await asyncio.gather(cluster.get(PODS, "one"), cluster.get(PODS, "two"))
        assert found == [{"kind": "Pod"}] * 2
        assert kubeconfig.renewed == 2, "at the beginning, and when they were refused"
    finally:
        await runner.cleanup()
