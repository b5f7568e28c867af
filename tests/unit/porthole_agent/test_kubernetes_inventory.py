"""An inventory tells what there is when it is told, not when it was begun."""

from typing import Any

from porthole_agent.runtimes.kubernetes.runtime import KubernetesRuntime
from porthole_agent.runtimes.kubernetes.settings import KubernetesSettings
from porthole_contract.cluster import Kind, Object
from porthole_contract.lifecycle import Phase
from porthole_kube.kinds import SESSIONS
from tests.support.cluster_objects import a_session


def seen_at(version: str, phase: Phase) -> Object:
    return a_session(status={"phase": phase}, metadata={"resourceVersion": version})


class Api:
    """Has one session, which comes to run while nodes and pods are listed."""

    def __init__(self) -> None:
        self.runtime: Any = None

    async def list_to_watch(self, kind: Kind, _: str) -> tuple[list[Object], str]:
        return ([seen_at("5", Phase.STARTING)] if kind is SESSIONS else []), "5"

    async def list(self, *_: Any, **__: Any) -> list[Object]:
        self.runtime._sessions.put(seen_at("6", Phase.RUNNING))  # as a watch does
        return []


async def test_what_changes_while_the_room_is_looked_at_is_told_as_it_is_then() -> None:
    api: Any = Api()
    settings = KubernetesSettings(namespaces=("default",), system_namespace="system")
    runtime = api.runtime = KubernetesRuntime(settings, api)
    told = await runtime.inventory()
    assert [one.status.phase for one in told.sessions] == [Phase.RUNNING]
