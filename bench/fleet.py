"""A cluster of which only the API server is real: kwok plays its nodes, for pods by the thousand.

etcd, kube-apiserver, kube-scheduler and the controllers that belong to the objects' promises
run as in production; a pod that has a node runs and is ready as soon as kwok has seen it.
Its address answers nobody.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import yaml

from e2e.cluster.cache import Cache
from e2e.cluster.programs import KWOK
from porthole_contract.cluster import Kind, Object
from porthole_contract.crd.policies import Installation, policies
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted, Unanswered
from porthole_kube.kinds import NAMESPACES, NODES, SESSIONS
from tests.support.api_server import CONTROLLERS, ApiServer, an_api_server
from tests.support.operator_cluster import TEMPLATE, roles

NAMESPACE = "porthole-sessions"
SYSTEM = "porthole-system"
OPERATOR = "operator"
"""Who writes for sessions: the operator, or who does by hand what it does."""
OWNER = "ada"
AT_ONCE = 16
"""Requests at a time of whoever asks for sessions."""

_NODES = 8
_PLENTY = {"cpu": "1k", "memory": "1Ti", "pods": "100k", "ephemeral-storage": "100Ti"}
_ROOM = {"allocatable": _PLENTY, "capacity": _PLENTY}
_WITHIN = 600.0
_WRITES = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Metadata",
            "users": [OPERATOR],
            "verbs": ["create", "update", "patch", "delete", "deletecollection"],
        },
        {"level": "None"},
    ],
}


class Fleet:
    """The cluster, and whoever asks it for sessions."""

    def __init__(self, server: ApiServer, admin: Cluster, namespace_uid: UUID) -> None:
        self.server = server
        self.admin = admin
        self.namespace_uid = namespace_uid
        self.kubeconfig = server.kubeconfig_of(OPERATOR)
        """Of whoever writes for sessions."""
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def ask_for(self, names: Iterable[str], *, home: bool = False) -> None:
        """Create Sessions, as somebody with kubectl does; each may have a home of its own."""

        async def one(name: str) -> None:
            async with self._slots:
                await create(self.admin, SESSIONS, a_session(name, home=name if home else None))

        await asyncio.gather(*map(one, names))

    async def until_running(self, names: Iterable[str]) -> None:
        """Wait until all of these Sessions run."""
        left = set(names)
        found, version = await self.admin.list_to_watch(SESSIONS, NAMESPACE)
        left -= {body["metadata"]["name"] for body in found if _runs(body)}
        async with asyncio.timeout(_WITHIN):
            while left:
                news = self.admin.watch(SESSIONS, NAMESPACE, version, seconds=_WITHIN)
                async with contextlib.aclosing(news):  # type: ignore[type-var]
                    async for _, body in news:
                        version = body["metadata"]["resourceVersion"]
                        if _runs(body):
                            left.discard(body["metadata"]["name"])
                        if not left:
                            return

    def writes(self) -> Counter[str]:
        """Return what was written for sessions so far: how often `verb resource[/part]`.

        A write that the API server refused counts as `refused`; Leases are not for sessions.
        """
        found: Counter[str] = Counter()
        with self.server.audit_log.open(encoding="utf-8") as lines:
            for line in lines:
                event = json.loads(line)
                about = event["objectRef"]
                if about["resource"] == "leases":
                    continue
                part = f"/{about['subresource']}" if about.get("subresource") else ""
                done = event["responseStatus"]["code"] < 300
                found[f"{event['verb']} {about['resource']}{part}" if done else "refused"] += 1
        return found


async def create(api: Cluster, kind: Kind, thing: Object) -> Object:
    """Create an object; a connection that was lost meanwhile is made again."""
    while True:
        try:
            return await api.create(kind, thing)
        except Unanswered:
            await asyncio.sleep(0.05)
        except Conflicted:  # it was made, and the answer was lost
            found = await api.get(kind, NAMESPACE, thing["metadata"]["name"])
            if found is not None:
                return found


@asynccontextmanager
async def a_fleet() -> AsyncIterator[Fleet]:
    """Run a cluster of nodes that only seem to be."""
    kwok = Cache.of_this_user(print).obtain(KWOK) / "kwok"
    with tempfile.TemporaryDirectory(prefix="ph-", dir="/var/tmp") as name:
        folder = Path(name) / "k"
        folder.mkdir()
        policy = Path(name) / "writes.yaml"
        policy.write_text(yaml.safe_dump(_WRITES), encoding="ascii")
        binder = "persistentvolume-binder-controller"
        flags = (
            f"--audit-policy-file={policy}",
            "--audit-log-maxsize=4000",
            # Whoever would take the taint away again, once a node is ready, does not run.
            "--disable-admission-plugins=TaintNodesByCondition",
        )
        async with an_api_server(folder, controllers=(*CONTROLLERS, binder), flags=flags) as server:
            await asyncio.to_thread(_furnish, server)
            scheduling = _scheduling(server, Path(name))
            server.start_beside("kube-scheduler", f"--config={scheduling}", "--secure-port=0")
            server.start_beside(
                str(kwok),
                f"--kubeconfig={server.kubeconfig}",
                "--manage-all-nodes",
                "--cidr=127.128.0.1/16",  # nothing listens there, and everybody knows at once
            )
            admin = await Cluster.connect(server.kubeconfig, "bench")
            try:
                yield await _ready(server, admin)
            finally:
                await admin.close()


@asynccontextmanager
async def a_program(log: Path, *words: str, says: str = "", **variables: str) -> AsyncIterator[int]:
    """Run a Python program beside the fleet; yield its process id once its log `says` so."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *words),
            env={**os.environ, **variables},
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        async with asyncio.timeout(60):
            while says not in log.read_text(encoding="utf-8") and process.returncode is None:
                await asyncio.sleep(0.2)
        if process.returncode is None:
            yield process.pid
        if process.returncode is not None:
            raise RuntimeError(f"{words} ended:\n{log.read_text(encoding='utf-8')[-4000:]}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def memory(pid: int) -> float:
    """Return what a process has written to in memory, in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "Anonymous":
            return float(value.split()[0]) * 1024
    raise ValueError(f"Process {pid} has no memory of its own.")


def processor(pid: int) -> float:
    """Return the seconds of a processor that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def a_session(name: str, *, home: str | None = None) -> Object:
    """Return a Session as somebody with kubectl writes it."""
    spec = {"owner": OWNER, "template": TEMPLATE["metadata"]["name"]}
    return {
        "apiVersion": SESSIONS.api_version,
        "kind": SESSIONS.name,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec if home is None else {**spec, "home": home},
    }


def _runs(body: Object) -> bool:
    return bool((body.get("status") or {}).get("phase") == "Running")


def _furnish(server: ApiServer) -> None:
    """Put everything into the cluster that an installation has, and nodes."""
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    server.apply_crds()
    server.apply(
        _named("v1", "Namespace", NAMESPACE, labels=restricted),
        _named("v1", "Namespace", SYSTEM),
        *({**_named("v1", "Node", f"worker-{n}"), "status": _ROOM} for n in range(_NODES)),
        *roles(OPERATOR, NAMESPACE, SYSTEM),
        *policies(Installation(operator=OPERATOR)),
    )
    _wait_for_account(server)
    server.apply({**TEMPLATE, "metadata": {**TEMPLATE["metadata"], "namespace": NAMESPACE}})


def add_volumes(server: ApiServer, count: int) -> None:
    """Add volumes for homes; the cluster binds one to each claim."""
    spec = {
        "capacity": {"storage": "20Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/nowhere"},
    }
    made = [_named("v1", "PersistentVolume", f"disk-{number}") for number in range(count)]
    server.apply(*({**one, "spec": spec} for one in made))


def _named(version: str, kind: str, name: str, **metadata: object) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}}


def _wait_for_account(server: ApiServer) -> None:
    """Wait until pods can be made in the namespace of sessions."""
    until = time.monotonic() + 60
    words = ("get", "serviceaccount", "default", "-n", NAMESPACE, "--ignore-not-found")
    while not server.kubectl(*words):
        if time.monotonic() > until:
            raise TimeoutError("The namespace of sessions has no ServiceAccount.")
        time.sleep(0.2)


def _scheduling(server: ApiServer, folder: Path) -> Path:
    """Write how the scheduler is run: it is not held back by limits of its own."""
    config = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(server.kubeconfig), "qps": 1000, "burst": 1000},
    }
    written = folder / "scheduling.yaml"
    written.write_text(yaml.safe_dump(config), encoding="ascii")
    return written


async def _ready(server: ApiServer, admin: Cluster) -> Fleet:
    """Wait until every node takes pods."""
    async with asyncio.timeout(60):
        while not all(map(_is_ready, await admin.list(NODES))):
            await asyncio.sleep(0.2)
    namespace = await admin.get(NAMESPACES, None, NAMESPACE)
    assert namespace is not None
    return Fleet(server, admin, UUID(namespace["metadata"]["uid"]))


def _is_ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
