"""A Kubernetes runtime against a real API server, with exactly the rights that it asks for.

    async with a_place(server) as place:
        session = await place.create(name="one", owner="alice")
        await place.told(session, order=1)
        place.kubectl("delete", "session", "one")

The part of the operator is played by the test: `place.status("one", phase="Running")`.

As a program (`python -m tests.support.kubernetes_runtime KUBECONFIG NAMESPACE SYSTEM STEPS`)
it does a list of steps and ends; a failpoint in its environment may end it sooner.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import yaml

from porthole_agent.runtimes.kubernetes.rights import TOMBSTONES, rules
from porthole_agent.runtimes.kubernetes.runtime import KubernetesRuntime
from porthole_agent.runtimes.kubernetes.settings import KubernetesSettings
from porthole_agent.runtimes.port import Change, Observation
from porthole_contract.cluster import Kind, Scope
from porthole_contract.names import AGENT, revision_object
from porthole_contract.session import SessionSpec
from porthole_contract.template import PinnedTemplate, SessionTemplateSpec
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted
from porthole_kube.kinds import (
    CLAIMS,
    CONFIG_MAPS,
    NAMESPACES,
    PODS,
    REVISIONS,
    SESSIONS,
)
from porthole_kube.objects import key_of, uid_of
from tests.support.api_server import ApiServer
from tests.support.cluster_objects import a_template
from tests.support.waiting import eventually

CONTENT = SessionTemplateSpec.model_validate(a_template()["spec"])


def pinned(content: SessionTemplateSpec | None = CONTENT) -> PinnedTemplate:
    digest = (content or CONTENT).digest()
    return PinnedTemplate(name="desktop", revision=1, digest=digest, spec=content)


def roles(user: str, namespace: str, system: str) -> list[dict[str, Any]]:
    """The roles that the chart gives the agent, for one user and two namespaces."""
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    made = []
    for kind, scope, where in (
        ("Role", Scope.SESSIONS, {"namespace": namespace}),
        ("Role", Scope.SYSTEM, {"namespace": system}),
        ("ClusterRole", Scope.CLUSTER, {}),
    ):
        metadata = {"name": user, **where}
        api = "rbac.authorization.k8s.io/v1"
        made += [
            {"apiVersion": api, "kind": kind, "metadata": metadata, "rules": rules(scope)},
            {
                "apiVersion": api,
                "kind": f"{kind}Binding",
                "metadata": metadata,
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": kind,
                    "name": user,
                },
                "subjects": [subject],
            },
        ]
    return made


class Place:
    """Two namespaces of a test's own, and runtimes in them."""

    def __init__(self, server: ApiServer, **settings: Any) -> None:
        mark = uuid4().hex[:8]
        self.server = server
        self.namespace, self.system = f"sessions-{mark}", f"system-{mark}"
        self.user = f"agent-{mark}"
        self.settings = settings
        self.admin: Cluster
        self.api: Cluster
        self.runtime: KubernetesRuntime
        self.seen: list[Change] = []
        self._changed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        self.admin = await Cluster.connect(self.server.kubeconfig, AGENT)
        for name in (self.namespace, self.system):
            await self.admin.create(NAMESPACES, {"kind": "Namespace", "metadata": {"name": name}})
        for manifest in roles(self.user, self.namespace, self.system):
            kind = manifest["kind"]
            await self.admin.create(
                Kind("rbac.authorization.k8s.io", "v1", f"{kind.lower()}s", kind), manifest
            )

    async def open(self) -> None:
        """Begin an agent's life."""
        self.api = await Cluster.connect(self.server.kubeconfig_of(self.user), AGENT)
        self.runtime = self.another(self.api)
        await self.runtime.open()
        self._listening = asyncio.create_task(self._listen())
        await asyncio.sleep(0)
        await self.runtime.start()

    def another(self, api: Cluster) -> KubernetesRuntime:
        settings = KubernetesSettings(
            namespaces=(self.namespace,),
            system_namespace=self.system,
            **{"resync_seconds": 2.0, **self.settings},
        )
        return KubernetesRuntime(settings, api)

    async def leave(self) -> None:
        """End an agent's life; the cluster goes on."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self.runtime.close()
        await self.api.close()

    async def remove(self) -> None:
        for name in (self.namespace, self.system):
            found = await self.admin.get(NAMESPACES, None, name)
            with contextlib.suppress(Conflicted):
                await self.admin.delete(NAMESPACES, *key_of(found), uid_of(found))
        await self.admin.close()

    # Orders

    async def create(self, name: str = "one", owner: str = "alice", **spec: Any) -> UUID:
        session = uuid4()
        await self.apply(session, 1, name=name, owner=owner, **spec)
        return session

    async def apply(
        self,
        session: UUID,
        order: int,
        *,
        name: str = "one",
        owner: str = "alice",
        template: PinnedTemplate | None = None,
        home_id: UUID | None = None,
        runtime: KubernetesRuntime | None = None,
        traceparent: str | None = None,
        **spec: Any,
    ) -> None:
        await (runtime or self.runtime).apply(
            session,
            order,
            name=name,
            owner=owner,
            spec=SessionSpec.model_validate({"owner": owner, "template": "desktop", **spec}),
            template=template or pinned(),
            home=home_id,
            traceparent=traceparent,
        )

    # The cluster

    async def kubectl(self, *arguments: str, given: Any = None) -> str:
        """Run kubectl as the administrator, in the namespace of sessions."""
        text = "" if given is None else yaml.safe_dump(given)
        return await asyncio.to_thread(
            self.server.kubectl, "-n", self.namespace, *arguments, given=text
        )

    async def make(self, name: str, **spec: Any) -> UUID:
        """Make a session as people do; return its uid."""
        manifest = {
            "apiVersion": "porthole.dev/v1alpha1",
            "kind": "Session",
            "metadata": {"name": name},
            "spec": {"owner": "alice", "template": "desktop", **spec},
        }
        await self.kubectl("apply", "-f", "-", given=manifest)
        return UUID((await self.get(name))["metadata"]["uid"])

    async def get(self, name: str = "one") -> Any:
        """Return a Session as it is, or None."""
        return await self.admin.get(SESSIONS, self.namespace, name)

    async def volume(self, home: UUID) -> Any:
        return await self.admin.get(CLAIMS, self.namespace, f"home-{home.hex}")

    async def status(self, name: str = "one", **status: Any) -> None:
        """Write a status, as the operator does."""
        patch = json.dumps({"status": status})
        await self.kubectl(
            "patch", "session", name, "--subresource=status", "--type=merge", "-p", patch
        )

    async def pod(self, address: str, *, owner: str, whose: str = "one", name: str = "one") -> None:
        """Make the pod of a session; its address is what a kubelet would say."""

        async def account() -> bool:
            return "default" in await self.kubectl("get", "serviceaccounts", "-o", "name")

        await eventually(account, True, within=30)
        reference = {
            "apiVersion": "porthole.dev/v1alpha1",
            "kind": "Session",
            "name": whose,
            "uid": owner,
            "controller": True,
        }
        metadata = {"namespace": self.namespace, "name": name, "ownerReferences": [reference]}
        await self.admin.create(
            PODS,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {"containers": [{"name": "desktop", "image": "none"}]},
            },
        )
        patch = json.dumps({"status": {"podIP": address, "podIPs": [{"ip": address}]}})
        await self.kubectl(
            "patch", "pod", name, "--subresource=status", "--type=merge", "-p", patch
        )

    async def tombstones(self) -> dict[str, str]:
        found = await self.admin.get(CONFIG_MAPS, self.system, TOMBSTONES)
        return {} if found is None else found.get("data", {})

    # What was told

    def of(self, session: UUID) -> list[Observation]:
        return [o for o in self.seen if isinstance(o, Observation) and o.session == session]

    async def told(self, session: UUID, within: float = 30, **wanted: Any) -> Observation:
        """Wait until a session was told with these fields (of it, its spec or its status)."""

        def fits(one: Observation) -> bool:
            return all(
                any(getattr(part, name, None) == value for part in (one, one.spec, one.status))
                for name, value in wanted.items()
            )

        async with asyncio.timeout(within):
            while True:
                self._changed.clear()
                for one in reversed(self.of(session)):
                    if fits(one):
                        return one
                await self._changed.wait()

    async def _listen(self) -> None:
        async for change in self.runtime.observe():
            self.seen.append(change)
            self._changed.set()


@contextlib.asynccontextmanager
async def a_place(server: ApiServer, **settings: Any) -> AsyncIterator[Place]:
    """Open a runtime in namespaces of its own; both are deleted at the end."""
    place = Place(server, **settings)
    await place.prepare()
    try:
        try:
            await place.open()
            yield place
        finally:
            await place.leave()
    finally:
        await place.remove()


async def _has_owner(api: Cluster, namespace: str, name: str) -> bool:
    revisions = await api.list(REVISIONS, namespace)
    return any(
        one["metadata"]["name"] == name and one["metadata"].get("ownerReferences")
        for one in revisions
    )


async def _main(kubeconfig: Path, namespace: str, system: str, steps: list[list[Any]]) -> None:
    """Do steps: ["apply", id, order], ["delete", id, order], ["kept", id, 0].

    `kept` waits until the session is noted as a user of its template's revision.
    """
    api = await Cluster.connect(kubeconfig, AGENT)
    settings = KubernetesSettings(
        namespaces=(namespace,), system_namespace=system, resync_seconds=1.0
    )
    runtime = KubernetesRuntime(settings, api)
    await runtime.open()
    await runtime.start()
    for step, session, order in steps:
        match step:
            case "apply":
                await runtime.apply(
                    UUID(session),
                    order,
                    name="one",
                    owner="alice",
                    spec=SessionSpec.model_validate(
                        {"owner": "alice", "template": "desktop", "lifetime": f"{order}h"}
                    ),
                    template=pinned(),
                )
            case "delete":
                await runtime.delete(UUID(session), order)
            case "kept":
                name = revision_object(CONTENT.digest(), "one")
                while not await _has_owner(api, namespace, name):
                    await asyncio.sleep(0.1)
    await runtime.close()
    await api.close()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], json.loads(sys.argv[4])))
