"""What was granted to the programs of a cluster, beside what they did: from the audit log."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.installing import SESSIONS, SYSTEM
from porthole_agent.runtimes.kubernetes import rights as agent
from porthole_contract.cluster import Right, Scope
from porthole_operator import rights as operator

RIGHTS: Mapping[str, tuple[Right, ...]] = {"agent": agent.RIGHTS, "operator": operator.RIGHTS}
_ASKED = "asked of the authorizer, and no request of its own: "
SPARE: Mapping[tuple[str, str, str], str] = {
    ("agent", "sessions", "create"): _ASKED + "by server-side apply of what is not there",
    ("agent", "sessions/for-others", "create"): _ASKED + "by the policy on owners",
    ("operator", "sessions/finalizers", "update"): _ASKED + "by owner references that block",
    ("agent", "controllerrevisions", "delete"): "of sessions that never came to be",
    ("operator", "sessiontickets", "delete"): "of those that lie there when they are old",
    ("operator", "secrets", "patch"): "what an earlier version made, in the shape of this one",
    ("operator", "services", "patch"): "what an earlier version made, in the shape of this one",
    ("operator", "networkpolicies", "patch"): "what an earlier version made, likewise",
}
"""Program, resource and verb that stories do not come to use, and what they are for."""


@dataclass(frozen=True, order=True)
class Use:
    """One verb on one kind, by one program, in one scope."""

    program: str
    scope: Scope
    resource: str
    verb: str


def granted() -> Iterator[Use]:
    """Yield everything that the chart grants."""
    for program, rights in RIGHTS.items():
        for right in rights:
            for verb in right.verbs:
                yield Use(program, right.scope, right.resource, verb)


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of an API server's audit log, rotated files included."""
    for path in sorted(folder.glob("log*")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                # The last line may be half written.
                if line.endswith("}\n"):
                    yield json.loads(line)


def counted(events: Iterable[Mapping[str, Any]]) -> tuple[Counter[Use], Counter[str]]:
    """Return how often what was used, and what was asked for and not granted."""
    used: Counter[Use] = Counter()
    refused: Counter[str] = Counter()
    for event in events:
        account = event["user"].get("username", "").removeprefix(f"system:serviceaccount:{SYSTEM}:")
        program, about = account.removeprefix("porthole-"), event.get("objectRef") or {}
        if program not in RIGHTS or "resource" not in about:
            continue
        part = about.get("subresource")
        resource = about["resource"] + (f"/{part}" if part else "")
        if event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid":
            refused[f"{program}: {event['verb']} {resource}"] += 1
            continue
        namespace = about.get("namespace")
        scope = {SESSIONS: Scope.SESSIONS, SYSTEM: Scope.SYSTEM}.get(namespace, Scope.CLUSTER)
        used[Use(program, scope, resource, event["verb"])] += 1
    return used, refused


def unused(used: Mapping[Use, int]) -> list[Use]:
    """Return what is granted, was not used, and is not known to be spare."""
    return sorted(
        use
        for use in set(granted()) - set(used)
        if (use.program, use.resource, use.verb) not in SPARE
    )


def table(used: Mapping[Use, int], refused: Mapping[str, int]) -> str:
    """Return all of it as a page in Markdown."""
    lines = ["| program | where | what | verb | used | |", "|---|---|---|---|---|---|"]
    for use in sorted(set(granted())):
        why = SPARE.get((use.program, use.resource, use.verb), "") if use not in used else ""
        times = used.get(use, 0)
        cells = (use.program, use.scope, use.resource, use.verb, f"{times}", why)
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\nRefused: {what}, {times} times" for what, times in sorted(refused.items())]
    return "\n".join(lines) + "\n"
