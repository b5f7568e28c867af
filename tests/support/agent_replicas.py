"""Replicas of an agent of a cluster, as processes, at a control plane that is served."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from porthole_agent.enrolment import load_given_key
from porthole_contract.link.greeting import new_key
from porthole_contract.stream.channels import Channel, Mode
from porthole_contract.stream.grant import Issuer, SigningKey, key_id
from porthole_kube.kinds import LEASES, TEMPLATES
from tests.support.cluster_objects import a_template
from tests.support.kubernetes_runtime import Place
from tests.support.served import Served


class Replicas:
    """Processes that share one key and one Lease."""

    def __init__(self, place: Place, folder: Path, url: str, token: str, **env: str) -> None:
        self.place = place
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._env = env
        self._url = url
        (folder / "token").write_text(token)
        (folder / "key.pem").write_bytes(
            new_key().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.running: list[asyncio.subprocess.Process] = []
        self._logs: list[Path] = []

    async def start(self, **env: str) -> asyncio.subprocess.Process:
        """Start one more."""
        log = self.folder / f"agent-{len(self._logs)}.log"
        self._logs.append(log)
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "porthole_agent"),
                env={
                    **os.environ,
                    "PORTHOLE_HOME": str(self.folder / "home"),
                    "PORTHOLE_AGENT_RUNTIME": "kubernetes",
                    "PORTHOLE_AGENT_URL": self._url,
                    "PORTHOLE_AGENT_JOIN_TOKEN_FILE": str(self.folder / "token"),
                    "PORTHOLE_AGENT_KEY_FILE": str(self.folder / "key.pem"),
                    "PORTHOLE_AGENT_KUBECONFIG": str(
                        self.place.server.kubeconfig_of(self.place.user)
                    ),
                    "PORTHOLE_AGENT_NAMESPACE": self.place.namespace,
                    "PORTHOLE_AGENT_SYSTEM_NAMESPACE": self.place.system,
                    "PORTHOLE_AGENT_RESYNC_EVERY": "PT3S",
                    "PORTHOLE_AGENT_LOG_LEVEL": "debug",
                    **self._env,
                    **env,
                },
                stdout=file,
                stderr=asyncio.subprocess.STDOUT,
            )
        self.running.append(process)
        return process

    def issuer(self) -> Issuer:
        """What a gate is told about the replicas' key."""
        key = load_given_key(self.folder / "key.pem")
        signing = SigningKey(key_id("agent", key.public_key()), key)
        return signing.issuer(tuple(Channel), tuple(Mode))

    async def holder(self) -> asyncio.subprocess.Process | None:
        """Return the process that holds the Lease, as its log says."""
        lease = await self.place.admin.get(LEASES, self.place.system, "porthole-agent")
        name = "" if lease is None else lease["spec"].get("holderIdentity") or ""
        for process, log in zip(self.running, self._logs, strict=True):
            if name and name in log.read_text() and process.returncode is None:
                return process
        return None

    def log(self, process: asyncio.subprocess.Process) -> str:
        return self._logs[self.running.index(process)].read_text()

    async def stop(self) -> None:
        for process in self.running:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                    process.terminate()
        for process in self.running:
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


@contextlib.asynccontextmanager
async def a_cluster_agent(
    served: Served, server: Any, folder: Path, *, replicas: int = 1, **env: str
) -> AsyncIterator[Replicas]:
    """Run an agent of a cluster, with namespaces and a template of its own."""
    place = Place(server)
    await place.prepare()
    try:
        template = a_template()
        template["metadata"] = {"namespace": place.namespace, "name": "desktop"}
        await place.admin.create(TEMPLATES, template)
        admin = served.control_plane.admin
        made = await admin.post("/api/v1/agents/join-tokens", json={"name": "cluster"})
        token = made.raise_for_status().json()["token"]
        url = env.pop("url", served.url)
        agents = Replicas(place, folder / "replicas", url, token, **env)
        try:
            for _ in range(replicas):
                await agents.start()
            yield agents
        except BaseException:
            for process in agents.running:
                print(agents.log(process)[-6000:])
            raise
        finally:
            await agents.stop()
    finally:
        await place.remove()


async def linked(served: Served, but: Sequence[str | None] = ()) -> dict[str, Any]:
    """Wait until the agent is linked and has told of its templates; return it as the API has it.

    Args:
        served: the control plane.
        but: moments since which it must not have been linked: an older link.
    """
    async with asyncio.timeout(60):
        while True:
            items = (await served.control_plane.admin.get("/api/v1/agents")).json()["items"]
            for agent in items:
                if agent["linked"] and agent["linked_at"] not in but and agent["capacity"]:
                    return dict(agent)
            await asyncio.sleep(0.05)
