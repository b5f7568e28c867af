"""What was granted beside what was used, from lines of an API server's audit log."""

import json
from pathlib import Path

from e2e.support import audit
from e2e.support.audit import Use
from porthole_contract.cluster import Scope


def line(program: str, verb: str, resource: str, **more: object) -> dict[str, object]:
    return {
        "user": {"username": f"system:serviceaccount:porthole-system:porthole-{program}"},
        "verb": verb,
        "objectRef": {"resource": resource, "namespace": "porthole-sessions"},
        **more,
    }


def test_uses_are_counted_by_program_place_part_and_verb():
    status = {"resource": "sessions", "subresource": "status", "namespace": "porthole-sessions"}
    events = [
        line("operator", "patch", "", objectRef=status),
        line("operator", "get", "nodes", objectRef={"resource": "nodes", "name": "one"}),
        line("agent", "watch", "sessions"),
        line("agent", "watch", "sessions"),
        line("database", "get", "secrets"),
        {"user": {}, "verb": "get"},
    ]
    used, refused = audit.counted(events)
    assert used == {
        Use("operator", Scope.SESSIONS, "sessions/status", "patch"): 1,
        Use("operator", Scope.CLUSTER, "nodes", "get"): 1,
        Use("agent", Scope.SESSIONS, "sessions", "watch"): 2,
    }
    assert not refused
    assert set(used) <= set(audit.granted())


def test_what_is_not_granted_is_told_and_not_counted_as_used():
    forbidden = {"authorization.k8s.io/decision": "forbid"}
    used, refused = audit.counted([line("agent", "get", "secrets", annotations=forbidden)])
    assert not used
    assert refused == {"agent: get secrets": 1}
    assert "Refused: agent: get secrets, 1 times" in audit.table(used, refused)


def test_what_is_spare_is_granted_and_everything_else_has_to_be_used():
    known = {(use.program, use.resource, use.verb) for use in audit.granted()}
    assert set(audit.SPARE) <= known
    everything = dict.fromkeys(audit.granted(), 1)
    assert audit.unused(everything) == []
    gone = Use("agent", Scope.SESSIONS, "pods/log", "get")
    del everything[gone]
    assert audit.unused(everything) == [gone]


def test_a_half_written_line_is_not_read(tmp_path: Path):
    whole = json.dumps(line("agent", "list", "nodes"))
    (tmp_path / "log").write_text(f'{whole}\n{{"user": ')
    assert [event["verb"] for event in audit.read(tmp_path)] == ["list"]
