"""An operator against a real API server, with exactly the rights that it asks for.

    async with an_operator(server) as place:
        await place.apply_session("one")
        await place.reaches("one", phase="Running")

There is no kubelet: `Nodes` plays it, the scheduler and the node lifecycle. It takes pods as
they come; `place.nodes.behave["one"] = a function` makes one pod's life another.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from porthole_contract.cluster import Kind, Object, Scope
from porthole_contract.crd.policies import Installation, policies
from porthole_contract.names import OPERATOR
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted, Missing, Unanswered
from porthole_kube.kinds import CLAIMS, PODS, SESSIONS
from porthole_operator.kinds import CHILDREN
from porthole_operator.rights import rules
from tests.support.api_server import ApiServer
from tests.support.waiting import eventually

_LOG = 6000
TEMPLATE: Object = {
    "apiVersion": "porthole.dev/v1alpha1",
    "kind": "SessionTemplate",
    "metadata": {"name": "desktop"},
    "spec": {"title": "Desktop", "image": "desktop-vnc"},
}
BINDINGS = Kind("", "v1", "bindings", "Binding")
NODE: Object = {
    # Without an object it would be a node that is gone, of which pods are taken at once.
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "worker-1"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}
Behaviour = Callable[["Nodes", Object], Awaitable[None]]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Nodes:
    """Plays all nodes: schedules, runs and removes pods of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.behave: dict[str, Behaviour] = {}
        self.otherwise: Behaviour = Nodes.draw
        self.ended: Callable[[str], Awaitable[None]] | None = None
        """Called when a pod's end was asked for, before it is gone."""
        self.keep: set[str] = set()
        """Pods that do not end, as on a node that does not answer."""
        self.begun: Counter[str] = Counter()
        self._seen: set[str] = set()
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        while True:
            with contextlib.suppress(Conflicted, Missing, Unanswered):
                await self.once()
            await asyncio.sleep(0.03)

    async def once(self) -> None:
        for pod in await self.cluster.list(PODS, self.namespace):
            head = pod["metadata"]
            if "deletionTimestamp" in head:
                if head["name"] not in self.keep:
                    if self.ended is not None:
                        await self.ended(head["name"])
                    await self.remove(pod)
            elif head["uid"] not in self._seen:
                self._seen.add(head["uid"])
                self.begun[head["name"]] += 1
                try:
                    await self.behave.get(head["name"], self.otherwise)(self, pod)
                except Unanswered:
                    # A busy API server's "not now" is tried again, as a kubelet does.
                    self._seen.remove(head["uid"])
                    self.begun[head["name"]] -= 1
                    raise

    # What may become of a pod

    async def draw(self, pod: Object) -> None:
        """It is scheduled, runs and is drawn."""
        await self.bind(pod)
        await self.say(pod, running(), ready=True)

    async def ready(self, pod: Object) -> None:
        """It is drawn; it was scheduled."""
        await self.say(pod, running(), ready=True)

    async def fail(self, pod: Object) -> None:
        """It ends as soon as it runs."""
        await self.bind(pod)
        await self.say(pod, running())
        await self.end(pod["metadata"]["name"], 1)

    async def only_run(self, pod: Object) -> None:
        """It runs and is never drawn."""
        await self.bind(pod)
        await self.say(pod, running())

    async def bind(self, pod: Object, node: str = NODE["metadata"]["name"]) -> None:
        head = pod["metadata"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": head["name"], "namespace": self.namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        with contextlib.suppress(Conflicted):  # bound by the try before
            await self.cluster.create(BINDINGS, binding)

    async def say(self, pod: Object, status: Object, *, ready: bool | None = False) -> None:
        """Write a pod's status as a kubelet does."""
        head = pod["metadata"]
        if ready is not None:
            condition = {"type": "Ready", "status": "True" if ready else "False"}
            status = {"conditions": [condition], **status}
        patch = {"metadata": {"uid": head["uid"]}, "status": status}
        await self.cluster.merge(
            PODS, self.namespace, head["name"], patch, strategic=True, part="status"
        )

    async def end(self, name: str, code: int = 0, reason: str = "Error") -> None:
        """Its desktop ends by itself."""
        pod = await self.cluster.get(PODS, self.namespace, name)
        assert pod is not None
        ended = {"exitCode": code, "reason": reason}
        container = {"name": "desktop", "image": "d", "state": {"terminated": ended}}
        await self.say(pod, {"phase": "Failed", "containerStatuses": [container]})

    async def remove(self, pod: Object) -> None:
        head = pod["metadata"]
        await self.cluster.delete(PODS, self.namespace, head["name"], head["uid"], grace=0)


def running(address: str = "192.0.2.1") -> Object:
    """The status of a pod whose containers run."""
    state = {"running": {"startedAt": now()}}
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "containerStatuses": [{"name": "desktop", "image": "desktop", "state": state}],
        "initContainerStatuses": [{"name": "gate", "image": "gate", "state": state}],
    }


def waiting(reason: str, message: str = "") -> Object:
    """The status of a pod whose desktop waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "desktop", "image": "desktop", "state": state}]}


class Place:
    """Two namespaces of a test's own, nodes, and operators."""

    def __init__(self, server: ApiServer, folder: Path, **settings: str) -> None:
        mark = uuid4().hex[:8]
        self.server = server
        self.folder = folder
        self.namespace, self.system = f"sessions-{mark}", f"system-{mark}"
        self.user = f"operator-{mark}"
        self.mark = mark
        self.settings = settings
        self.admin: Cluster
        self.nodes: Nodes
        self.operators: list[asyncio.subprocess.Process] = []
        self.port = 0
        """Where gates listen, if any are run."""

    async def prepare(self) -> None:
        self.admin = await Cluster.connect(self.server.kubeconfig, OPERATOR)
        manifests = [
            *(
                {"kind": "Namespace", "apiVersion": "v1", "metadata": metadata}
                for metadata in (
                    {
                        "name": self.namespace,
                        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
                    },
                    {"name": self.system},
                )
            ),
            *roles(self.user, self.namespace, self.system),
            *policies(
                Installation(
                    name=f"porthole-{self.mark}",
                    namespaces=(self.namespace,),
                    agent=f"agent-{self.mark}",
                    operator=self.user,
                )
            ),
        ]
        await asyncio.to_thread(self.server.apply, NODE, *manifests)
        account = Kind("", "v1", "serviceaccounts", "ServiceAccount")

        async def has_account() -> bool:
            return await self.admin.get(account, self.namespace, "default") is not None

        await eventually(has_account, True, within=60)
        await self.apply(TEMPLATE)
        self.nodes = Nodes(self.admin, self.namespace)
        self.nodes.task = asyncio.create_task(self.nodes.run(), name="nodes")

    async def remove(self) -> None:
        for process in self.operators:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if self.nodes.task is not None:
            self.nodes.task.cancel()
            await asyncio.gather(self.nodes.task, return_exceptions=True)
        names = (self.namespace, self.system)
        await asyncio.to_thread(
            self.server.kubectl, "delete", "namespace", *names, "--wait=false", "--now"
        )
        for pod in await self.admin.list(PODS, self.namespace):
            await self.nodes.remove(pod)
        kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings"
        for name in {
            one["metadata"]["name"] for one in policies(Installation(f"porthole-{self.mark}"))
        }:
            await asyncio.to_thread(
                self.server.kubectl, "delete", kinds, name, "--ignore-not-found"
            )
        await self.admin.close()

    # Operators

    async def start(self, failpoints: str = "", **more: str) -> asyncio.subprocess.Process:
        """Start a replica; its log is in the test's folder."""
        settings = {
            "namespaces": f'["{self.namespace}"]',
            "system_namespace": self.system,
            "kubeconfig": str(self.server.kubeconfig_of(self.user)),
            "health_port": "0",
            "lease_seconds": "30",
            "resync_every": "PT2S",
            "log_format": "text",
            **self.settings,
            **more,
        }
        named = {f"PORTHOLE_OPERATOR_{name.upper()}": value for name, value in settings.items()}
        log = self.folder / f"operator-{len(self.operators)}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "porthole_operator"),
                env={**os.environ, **named, "PORTHOLE_FAILPOINTS": failpoints},
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
            )
        self.operators.append(process)
        return process

    async def free_lease(self) -> None:
        """Forget who was the operator, so that the next need not wait for one that was killed."""
        words = ("delete", "lease", "porthole-operator", "-n", self.system, "--ignore-not-found")
        await asyncio.to_thread(self.server.kubectl, *words)

    async def leads(self, within: float = 60) -> None:
        """Wait until the replica that was started last has the Lease."""
        log = self.folder / f"operator-{len(self.operators) - 1}.log"

        async def taken() -> bool:
            return "lease_taken" in log.read_text()

        await eventually(taken, True, within=within)

    async def stop(self, process: asyncio.subprocess.Process) -> int:
        """Ask a replica to end; return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            return await process.wait()

    def said(self) -> str:
        """Return the end of what the operators, the nodes and the desks have told."""
        logs = sorted(self.folder.glob("*.log"))
        told = [f"{log.name}:\n{log.read_text()[-_LOG:]}" for log in logs]
        if (task := self.nodes.task) is not None and task.done():
            told.append(f"The nodes are gone: {task.exception()!r}")
        return "\n".join(told)

    # Objects

    async def apply(self, manifest: Object) -> None:
        head = {**manifest["metadata"], "namespace": self.namespace}
        await asyncio.to_thread(self.server.apply, {**manifest, "metadata": head})

    async def apply_session(self, name: str = "one", **spec: Any) -> None:
        """Make a Session as somebody with kubectl does."""
        await self.apply(
            {
                "apiVersion": "porthole.dev/v1alpha1",
                "kind": "Session",
                "metadata": {"name": name},
                "spec": {"owner": "ada", "template": "desktop", **spec},
            }
        )

    async def get(self, name: str = "one", kind: Kind = SESSIONS) -> Object | None:
        return await self.admin.get(kind, self.namespace, name)

    async def delete(self, name: str = "one", *words: str) -> None:
        await asyncio.to_thread(
            self.server.kubectl,
            "delete",
            "session",
            name,
            "-n",
            self.namespace,
            "--wait=false",
            *words,
        )

    async def status(self, name: str = "one") -> Object:
        found = await self.get(name)
        return {} if found is None else found.get("status") or {}

    async def reaches(self, name: str = "one", *, within: float = 60, **wanted: Any) -> Object:
        """Wait until the status says all that; return it."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            status = await self.status(name)
            if all(status.get(key) == value for key, value in wanted.items()):
                return status
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{name} is {status}, not {wanted}.\n{self.said()[-3000:]}")
            await asyncio.sleep(0.05)

    async def gone(self, name: str = "one", *, within: float = 60) -> None:
        """Wait until nothing of a Session is left but homes."""

        async def left() -> list[str]:
            kinds = (SESSIONS, PODS, *CHILDREN)
            found = await asyncio.gather(
                *(self.admin.get(kind, self.namespace, name) for kind in kinds)
            )
            return [kind.name for kind, one in zip(kinds, found, strict=True) if one is not None]

        await eventually(left, [], within=within)

    async def homes(self) -> list[Object]:
        return await self.admin.list(CLAIMS, self.namespace)

    async def events(self, name: str = "one") -> list[tuple[str, str]]:
        """Return the Events about a Session: type and reason, oldest first."""
        kind = Kind("events.k8s.io", "v1", "events", "Event")
        found = [
            event
            for event in await self.admin.list(kind, self.namespace)
            if event["regarding"]["name"] == name and event["regarding"]["kind"] == "Session"
        ]
        found.sort(key=lambda event: event["eventTime"] or "")
        return [(event["type"], event["reason"]) for event in found]

    def writes(self, user: str | None = None) -> list[str]:
        """Return what the operator has written, as `verb resource/part`, from the audit log."""
        found = []
        for event in self.server.audited():
            about = event.get("objectRef") or {}
            mine = event["user"]["username"] == (user or self.user)
            if not mine or event["verb"] in {"get", "list", "watch"}:
                continue
            if about.get("resource") == "leases" or event["responseStatus"]["code"] >= 300:
                continue
            part = f"/{about['subresource']}" if about.get("subresource") else ""
            found.append(f"{event['verb']} {about['resource']}{part}")
        return found


def roles(user: str, namespace: str, system: str) -> list[Object]:
    """Everything that an operator of that name is granted, and nothing else."""
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    made = []
    for kind, scope, where in (
        ("Role", Scope.SESSIONS, {"namespace": namespace}),
        ("Role", Scope.SYSTEM, {"namespace": system}),
        ("ClusterRole", Scope.CLUSTER, {}),
    ):
        api = "rbac.authorization.k8s.io/v1"
        head = {"name": user, **where}
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": user}
        made += [
            {"apiVersion": api, "kind": kind, "metadata": head, "rules": rules(scope)},
            {
                "apiVersion": api,
                "kind": f"{kind}Binding",
                "metadata": head,
                "roleRef": ref,
                "subjects": [subject],
            },
        ]
    return made


@asynccontextmanager
async def a_place(server: ApiServer, folder: Path, **settings: str) -> AsyncIterator[Place]:
    """Namespaces, roles, policies and nodes; no operator yet."""
    place = Place(server, folder, **settings)
    await place.prepare()
    try:
        yield place
    finally:
        await place.remove()


@asynccontextmanager
async def an_operator(server: ApiServer, folder: Path, **settings: str) -> AsyncIterator[Place]:
    """The same with one operator running."""
    async with a_place(server, folder, **settings) as place:
        await place.start()
        yield place
