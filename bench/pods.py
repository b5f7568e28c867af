"""A desktop on a real cluster beside a pod that does the same: how long each begins and ends.

It needs the cluster that `porthole cluster up` makes. The pod is the operator's own, written
by hand: the same containers, volumes, home and readiness, and a Secret that is there already.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from statistics import median

from bench.figures import Figure
from bench.fleet import NAMESPACE
from e2e.cluster.config import DEFAULT_NAME
from e2e.cluster.record import Place, Up
from porthole_contract.cluster import Kind, Object
from porthole_kube.cluster import Cluster
from porthole_kube.kinds import CLAIMS, PODS, POLICIES, REVISIONS, SECRETS, SERVICES, SESSIONS
from porthole_operator.desired.gate import HEALTH_PORT

_TIMES = 7
_WITHIN = 120.0
_GOAL = 1.2
_SESSION, _BARE = "bench", "bench-bare"
_HOME = "bench"
_OWNER = "admin"
_PAINTED = "test -S /run/porthole/rfb.sock"


def has_cluster() -> bool:
    """Whether the cluster is up, as far as is written down."""
    return Up.read(Place(DEFAULT_NAME)) is not None


async def measure() -> list[Figure]:
    """Measure begin and end of both, in turns; the first of each is not counted."""
    api = await Cluster.connect(Place(DEFAULT_NAME).kubeconfig, "bench")
    try:
        async with _a_pod_by_hand(api) as bare:
            seen = await _take_turns(api, bare)
    finally:
        await api.close()
    middle = {name: median(values[1:]) * 1000 for name, values in seen.items()}
    print("  " + ", ".join(f"{name} {value:.0f} ms" for name, value in middle.items()))
    home = middle["session"] - middle["session without a home"]
    gate = middle["pod"] - middle["pod without a gate"]
    note = (
        f"its home costs {home:.0f} ms; a pod's home"
        f" {middle['pod'] - middle['pod without a home']:.0f} ms and its gate {gate:.0f} ms"
    )
    return [
        Figure(
            name=name,
            value=middle[ours],
            unit="ms",
            baseline=middle[theirs],
            against="a hand-written pod with the same containers, volumes, home, readiness",
            better="less",
            goal=_GOAL,
            judged="ratio",
            note=said,
        )
        for name, ours, theirs, said in (
            ("create to Running, in a cluster", "session", "pod", note),
            (
                "create to Running, in a cluster, no home",
                "session without a home",
                "pod without a home",
                "",
            ),
            ("end to nothing left, in a cluster", "session's end", "pod's end", ""),
            ("end to nothing left, by kubectl", "session's end by kubectl", "pod's end", ""),
        )
    ]


async def _take_turns(api: Cluster, bare: Object) -> dict[str, list[float]]:
    seen: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        seen.setdefault(name, []).append(seconds)

    for turn in range(_TIMES + 1):
        print(f"  turn {turn} of {_TIMES}", flush=True)
        note("session", await _begin(api, SESSIONS, _a_session(_HOME), _runs))
        note("session's end", await _end(api, SESSIONS, foreground=True))
        note("session without a home", await _begin(api, SESSIONS, _a_session(None), _runs))
        note("session's end by kubectl", await _end(api, SESSIONS))
        note("pod", await _begin(api, PODS, bare, _is_ready))
        note("pod's end", await _end(api, PODS))
        note("pod without a home", await _begin(api, PODS, _without_home(bare), _is_ready))
        await _end(api, PODS)
        note("pod without a gate", await _begin(api, PODS, _without_gate(bare), _is_ready))
        await _end(api, PODS)
    return seen


async def _begin(
    api: Cluster, kind: Kind, thing: Object, is_there: Callable[[Object], bool]
) -> float:
    """Create an object; return the seconds until it is as it should be."""
    _, version = await api.list_to_watch(kind, NAMESPACE)
    name = thing["metadata"]["name"]
    begun = time.perf_counter()
    await api.create(kind, thing)
    async with asyncio.timeout(_WITHIN):
        news = api.watch(kind, NAMESPACE, version, seconds=_WITHIN)
        async with contextlib.aclosing(news):  # type: ignore[type-var]
            async for _, body in news:
                if body["metadata"]["name"] == name and is_there(body):
                    return time.perf_counter() - begun
    raise TimeoutError(f"Nothing was told of {name}.")


async def _end(api: Cluster, kind: Kind, *, foreground: bool = False) -> float:
    """Delete the session or the pod; return the seconds until nothing of it is left."""
    name = _SESSION if kind == SESSIONS else _BARE
    body = await api.get(kind, NAMESPACE, name)
    assert body is not None
    uid = body["metadata"]["uid"]
    kinds: tuple[Kind, ...] = (PODS,)
    if kind == SESSIONS:
        kinds = (SESSIONS, PODS, SECRETS, SERVICES, POLICIES)
    begun = time.perf_counter()
    await api.delete(kind, NAMESPACE, name, uid, foreground=foreground)
    async with asyncio.timeout(_WITHIN):
        while kinds:
            found = await asyncio.gather(*(api.get(one, NAMESPACE, name) for one in kinds))
            kinds = tuple(one for one, there in zip(kinds, found, strict=True) if there)
        while kind == SESSIONS and await _has_revision(api, uid):
            await asyncio.sleep(0.01)
    return time.perf_counter() - begun


async def _has_revision(api: Cluster, uid: str) -> bool:
    found = await api.list(REVISIONS, NAMESPACE)
    return any(
        owner["uid"] == uid
        for one in found
        for owner in one["metadata"].get("ownerReferences") or ()
    )


@asynccontextmanager
async def _a_pod_by_hand(api: Cluster) -> AsyncIterator[Object]:
    """Yield the pod of a session as somebody would write it, with its Secret and its home."""
    await _begin(api, SESSIONS, _a_session(_HOME), _runs)
    try:
        made = await api.get(PODS, NAMESPACE, _SESSION)
        secret = await api.get(SECRETS, NAMESPACE, _SESSION)
    finally:
        await _end(api, SESSIONS, foreground=True)
    assert made is not None
    assert secret is not None
    head = {"name": _BARE, "namespace": NAMESPACE}
    await api.create(
        SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": head, "data": secret["data"]}
    )
    try:
        yield _by_hand(made)
    finally:
        await _remove(api, PODS, _BARE)
        await _remove(api, SECRETS, _BARE)
        for claim in await api.list(CLAIMS, NAMESPACE):
            if claim["metadata"]["annotations"].get("porthole.dev/home-name") == _HOME:
                await _remove(api, CLAIMS, claim["metadata"]["name"])


async def _remove(api: Cluster, kind: Kind, name: str) -> None:
    found = await api.get(kind, NAMESPACE, name)
    if found is not None:
        await api.delete(kind, NAMESPACE, name, found["metadata"]["uid"])


def _by_hand(made: Object) -> Object:
    """Return a pod with the same spec, of which nobody but its writer knows."""
    spec = deepcopy(made["spec"])
    for field in ("nodeName", "serviceAccount", "priority", "preemptionPolicy"):
        spec.pop(field, None)
    for volume in spec["volumes"]:
        if "secret" in volume:
            volume["secret"]["secretName"] = _BARE
    head = {"name": _BARE, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": head, "spec": spec}


def _without_home(pod: Object) -> Object:
    """Return it with an empty folder in its home's place."""
    changed = deepcopy(pod)
    for volume in changed["spec"]["volumes"]:
        if volume.pop("persistentVolumeClaim", None) is not None:
            volume["emptyDir"] = {}
    return changed


def _without_gate(pod: Object) -> Object:
    """Return it with the desktop alone, ready as soon as there is a server of its screen."""
    changed = deepcopy(pod)
    gate = changed["spec"].pop("initContainers")[0]
    assert any(port["containerPort"] == HEALTH_PORT for port in gate["ports"])
    probe = {name: value for name, value in gate["readinessProbe"].items() if name != "httpGet"}
    (desktop,) = changed["spec"]["containers"]
    desktop["readinessProbe"] = {**probe, "exec": {"command": ["/bin/sh", "-c", _PAINTED]}}
    return changed


def _a_session(home: str | None) -> Object:
    spec = {"owner": _OWNER, "template": "desktop"}
    return {
        "apiVersion": SESSIONS.api_version,
        "kind": SESSIONS.name,
        "metadata": {"name": _SESSION, "namespace": NAMESPACE},
        "spec": spec if home is None else {**spec, "home": home},
    }


def _runs(body: Object) -> bool:
    return bool((body.get("status") or {}).get("phase") == "Running")


def _is_ready(body: Object) -> bool:
    conditions = (body.get("status") or {}).get("conditions") or ()
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
