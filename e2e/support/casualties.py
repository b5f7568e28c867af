"""Who can be killed on a cluster: programs at named places or at any moment, pods, nodes."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

from e2e.cluster.installing import SESSIONS, SYSTEM
from e2e.support.cluster_api import ClusterApi, Json
from e2e.support.real_cluster import RealCluster
from porthole_contract.failpoints import VARIABLE
from porthole_kube.kinds import LEASES, PODS

PROGRAMS = ("operator", "agent", "control-plane")
"""Those that have failpoints, and two replicas."""
FOLDER = "/tmp/failpoints"
_STRATEGIC = "application/strategic-merge-patch+json"
_KILLED = 128 + 9  # what a container ends with that SIGKILL has ended
_PROCESSES = "grep -ls {container} /proc/[0-9]*/cgroup | cut -d / -f 3"


class Casualties:
    """Those who can be killed.

    Args:
        cluster: where they are.
        api: its API server.
    """

    def __init__(self, cluster: RealCluster, api: ClusterApi) -> None:
        self._cluster = cluster
        self._api = api

    async def prepare(self) -> None:
        """Have the programs look for failpoints in a folder of theirs; they begin anew once.

        In a process namespace that the pod shares, a program can send itself any signal.
        """
        await self._patch({"name": VARIABLE, "value": FOLDER}, share=True)

    async def restore(self) -> None:
        """Have the programs as the chart has them."""
        await self._patch({"name": VARIABLE, "$patch": "delete"}, share=None)

    async def _patch(self, variable: Json, *, share: bool | None) -> None:
        for program in PROGRAMS:
            containers = [{"name": program, "env": [variable]}]
            spec = {"shareProcessNamespace": share, "containers": containers}
            path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/porthole-{program}"
            await self._api.patch(path, {"spec": {"template": {"spec": spec}}}, _STRATEGIC)
        for program in PROGRAMS:
            words = ("rollout", "status", f"deployment/porthole-{program}", "--timeout=110s")
            await self._run("kubectl", "-n", SYSTEM, *words)

    # Failpoints

    async def arm(self, program: str, place: str) -> None:
        """Let every replica of a program die at a place when it passes it next."""
        write = f"mkdir -p {FOLDER} && echo kill:1 > {FOLDER}/{place}"
        await asyncio.gather(*(self._in(pod, write) for pod in await self.pods(program)))

    async def disarm(self, program: str) -> None:
        """Let no replica of a program die by itself any more, as far as they run."""
        for pod in await self.pods(program):
            with contextlib.suppress(AssertionError):
                await self._in(pod, f"rm -rf {FOLDER}")

    async def _in(self, pod: Json, script: str) -> None:
        name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]
        words = ("exec", name, "-c", container, "--", "sh", "-c", script)
        await self._run("kubectl", "-n", SYSTEM, *words)

    # Who is there

    async def pods(self, program: str) -> list[Json]:
        """Return the pods of a program (or of the database) that are not on their way out."""
        found = await self._api.items(PODS.path(SYSTEM), _labels(program))
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    async def holder(self, program: str) -> str:
        """Return who holds the program's Lease: a pod's name, and more; "" if nobody does."""
        lease = await self._api.get(LEASES.path(SYSTEM, f"porthole-{program}"))
        return "" if lease is None else str(lease["spec"].get("holderIdentity") or "")

    async def leader(self, program: str) -> Json | None:
        """Return the pod of the replica that holds the program's Lease."""
        holder = await self.holder(program)
        named = (pod for pod in await self.pods(program) if holder.startswith(_name(pod)))
        return next(named, None)

    async def deaths(self, program: str) -> set[str]:
        """Return the ids of the program's containers that were killed, as far as is known."""
        states = (
            state["terminated"]
            for pod in await self._api.items(PODS.path(SYSTEM), _labels(program))
            for one in _statuses(pod)
            for state in (one["state"], one["lastState"])
            if "terminated" in state
        )
        return {state["containerID"] for state in states if state["exitCode"] == _KILLED}

    async def are_well(self, programs: Iterable[str] = (*PROGRAMS, "database")) -> bool:
        """Whether every replica runs and is ready, and nothing is on its way out."""
        for program in programs:
            pods = await self._api.items(PODS.path(SYSTEM), _labels(program))
            if len(pods) != (1 if program == "database" else 2) or not all(map(_is_well, pods)):
                return False
        return True

    # Ends

    async def kill(self, who: str, session: str = "") -> None:
        """Kill it as the kernel would: the first process of its container, by SIGKILL.

        Args:
            who: a program (the replica that works), `database`, `gate`, `desktop`, or `pod`,
                which is deleted without a farewell.
            session: the name of the session whose gate, desktop or pod it is.

        Raises:
            AssertionError: it is not there, or does not run.
        """
        if who == "pod":
            path = PODS.path(SESSIONS, session)
            await self._api.delete(path, gracePeriodSeconds=0)
            return
        pod = await self._victim(who, session)
        assert pod is not None, f"there is no {who} to kill"
        container = _container(pod, who)
        assert container is not None, f"{who} does not run"
        told = await self._on(pod, _PROCESSES.format(container=container))
        processes = [int(line) for line in told.split()]
        assert processes, f"{who} has no process"
        await self._on(pod, f"kill -9 {min(processes)}")  # the others are its children

    async def end(self, program: str) -> None:
        """Delete the pod of the replica that works, which has time to say goodbye."""
        pod = await self._victim(program, "")
        assert pod is not None, f"no {program} works"
        await self._api.delete(PODS.path(SYSTEM, _name(pod)))

    async def refresh(self) -> None:
        """Put new pods in the place of those that were killed.

        A kubelet lets whoever ends again and again wait for longer and longer, and what these
        stories do to a program in an hour nothing else does to it in years.
        """
        for program in (*PROGRAMS, "database"):
            for pod in await self.pods(program):
                if any(one["restartCount"] for one in _statuses(pod)):
                    await self._api.delete(PODS.path(SYSTEM, _name(pod)), gracePeriodSeconds=0)

    async def free_lease(self, program: str, dead: str) -> None:
        """Let go of a Lease that the dead one holds, so that nobody waits for it to run out."""
        if await self.holder(program) == dead:
            path = LEASES.path(SYSTEM, f"porthole-{program}")
            await self._api.patch(path, {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}})

    async def _victim(self, who: str, session: str) -> Json | None:
        match who:
            case "operator" | "agent":
                return await self.leader(who)
            case "control-plane" | "database":
                return next(iter(await self.pods(who)), None)
            case _:
                return await self._api.get(PODS.path(SESSIONS, session))

    async def _on(self, pod: Json, script: str) -> str:
        return await self._run("docker", "exec", pod["spec"]["nodeName"], "sh", "-c", script)

    async def _run(self, *command: str) -> str:
        return await asyncio.to_thread(self._cluster.run, *command)


def _statuses(pod: Json) -> list[Any]:
    return [*(pod["status"].get("containerStatuses") or ())]


def _container(pod: Json, who: str) -> str | None:
    """Return the id of the container that runs; a session's has a name, a program's is alone."""
    told = [*_statuses(pod), *(pod["status"].get("initContainerStatuses") or ())]
    for one in told:
        wanted = one["name"] == who or who not in {"gate", "desktop"}
        if wanted and "running" in one["state"]:
            return str(one["containerID"]).rpartition("/")[2]
    return None


def _labels(program: str) -> str:
    return f"app.kubernetes.io/name=porthole-{program}"


def _name(pod: Json) -> str:
    return str(pod["metadata"]["name"])


def _is_well(pod: Json) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    told = pod["status"].get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in told)
