"""Real gates and desktops beside a real API server, started from what the operator wrote.

    async with a_place_with_desks(server, folder) as place:
        await place.apply_session("one")
        await place.reaches("one", phase="Running")   # the gate itself said so

They listen on 127.0.0.1, at `place.port`; of one session at a time.
"""

import asyncio
import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from porthole_contract.cluster import Object
from porthole_kube.kinds import SECRETS
from tests.support.api_server import ApiServer
from tests.support.desktop_pair import SUPERVISOR
from tests.support.operator_cluster import Nodes, Place, a_place, running
from tests.support.ports import free_port

ADDRESS = "127.0.0.1"


class Desk:
    """The two programs of one pod, run here from what its Secret says."""

    def __init__(self, data: dict[str, bytes], port: int, log: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ph-")
        root = Path(self._folder.name)
        for name in ("s", "home"):
            (root / name).mkdir()
        desktop = {**json.loads(data["desktop.json"]), "sockets": str(root / "s")}
        desktop["gate_uid"] = os.getuid()
        desktop["programs"] = [{"name": "Clock", "command": ["xclock"], "autostart": True}]
        gate = json.loads(data["gate.json"]) | {
            "listen": f"tcp:{ADDRESS}:{port}",
            "health": f"unix:{root}/health.sock",
            "certificate": str(root / "cert.pem"),
            "key": str(root / "key.pem"),
            "rfb": str(root / "s/rfb.sock"),
            "rdp": str(root / "s/rdp.sock"),
            "supervisor": str(root / "s/supervisor.sock"),
            "desktop_uid": os.getuid(),
        }
        files = {
            "desktop.json": json.dumps(desktop).encode(),
            "gate.json": json.dumps(gate).encode(),
            "cert.pem": data["tls.crt"],
            "key.pem": data["tls.key"],
        }
        for name, content in files.items():
            (root / name).write_bytes(content)
        environment = {**os.environ, "HOME": str(root / "home"), "TMPDIR": str(root)}
        commands = (
            (str(SUPERVISOR), "--config", str(root / "desktop.json")),
            ("-m", "porthole_desktop.gate", "--config", str(root / "gate.json")),
        )
        with log.open("ab") as out:
            self._processes = [
                subprocess.Popen([sys.executable, "-B", *words], env=environment, stderr=out)
                for words in commands
            ]

    def stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()
            process.wait()
        self._folder.cleanup()


@asynccontextmanager
async def a_place_with_desks(server: ApiServer, folder: Path) -> AsyncIterator[Place]:
    """Namespaces, roles, policies, and nodes that run what a pod is made of; no operator yet."""
    port = free_port()
    desks: dict[str, Desk] = {}

    async def run(nodes: Nodes, pod: Object) -> None:
        await nodes.bind(pod)
        name = pod["metadata"]["name"]
        secret = await nodes.cluster.get(SECRETS, nodes.namespace, name)
        assert secret is not None
        data = {key: base64.b64decode(value) for key, value in secret["data"].items()}
        if name not in desks:
            log = folder / f"desk-{name}.log"
            desks[name] = await asyncio.to_thread(Desk, data, port, log)
        await nodes.say(pod, running(ADDRESS))

    async def end(name: str) -> None:
        desk = desks.pop(name, None)
        if desk is not None:
            await asyncio.to_thread(desk.stop)

    async with a_place(server, folder, gate_port=str(port)) as made:
        made.nodes.otherwise = run
        made.nodes.ended = end
        made.port = port
        try:
            yield made
        finally:
            for desk in desks.values():
                desk.stop()
