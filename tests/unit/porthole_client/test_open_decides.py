"""What `porthole open` decides without a cluster: what is meant, and what may be looked at."""

import secrets
from pathlib import Path
from typing import Any

import pytest

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open import judge, kubeconfig
from porthole_client.cli.open.forward import refusal
from porthole_client.cli.open.tickets import opening
from porthole_client.cli.open.which import Choice, as_kubectl_says, choose, session_name
from porthole_contract.stream.sealed import public_half, seal
from porthole_contract.ticket import SessionTicketStatus

WHERE = Choice("kind-porthole", "porthole-sessions")
CONTEXTS = [
    {"name": "here", "context": {"cluster": "c", "namespace": "ours"}},
    {"name": "there", "context": {"cluster": "d"}},
]


@pytest.mark.parametrize(
    "which",
    [
        *("x", "session/x", "sessions/x", "Session/x", "sess/x"),
        *("sessions.porthole.dev/x", "session.v1alpha1.porthole.dev/x"),
    ],
)
def test_a_session_is_named_in_kubectls_words(which: str) -> None:
    assert session_name(which) == "x"


@pytest.mark.parametrize("which", ["pod/x", "/x", "ns/session/x", "session/", "X", "-x", "x" * 53])
def test_what_is_no_session_is_refused(which: str) -> None:
    with pytest.raises(Failure) as failed:
        session_name(which)
    assert failed.value.code is Exit.USAGE


def test_a_name_alone_may_be_a_session_of_the_control_plane() -> None:
    assert as_kubectl_says("session/x")
    assert not as_kubectl_says("x")


def test_the_current_context_and_its_namespace_are_meant() -> None:
    assert choose(CONTEXTS, "here", context=None, namespace=None) == Choice("here", "ours")


def test_what_is_given_wins() -> None:
    assert choose(CONTEXTS, "here", context="there", namespace="n") == Choice("there", "n")


def test_without_a_namespace_it_is_that_of_the_chart() -> None:
    assert choose(CONTEXTS, None, context="there", namespace=None).namespace == "porthole-sessions"


@pytest.mark.parametrize(
    ("current", "context", "code", "words"),
    [
        (None, None, Exit.USAGE, "no current context"),
        ("here", "nowhere", Exit.NOT_FOUND, "no context 'nowhere'. There are: here, there."),
        ("gone", None, Exit.NOT_FOUND, "no context 'gone'"),
    ],
)
def test_a_context_that_is_not_there(
    current: str | None, context: str | None, code: Exit, words: str
) -> None:
    with pytest.raises(Failure, match=words) as failed:
        choose(CONTEXTS, current, context=context, namespace=None)
    assert failed.value.code is code


def test_a_kubeconfig_is_found_as_kubectl_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Failure, match=r"--kubeconfig or KUBECONFIG"):
        kubeconfig.files(None, {})
    (tmp_path / ".kube").mkdir()
    default, other = tmp_path / ".kube" / "config", tmp_path / "other"
    for file in (default, other):
        file.write_text("")
    assert kubeconfig.files(None, {}) == str(default)
    several = f"{tmp_path}/none:{other}"
    assert kubeconfig.files(None, {"KUBECONFIG": several}) == several
    assert kubeconfig.files(other, {"KUBECONFIG": several}) == str(other)


@pytest.mark.parametrize("content", ["", "a: [", "- 1", "contexts: 5\nclusters: 1\nusers: 1"])
def test_a_kubeconfig_that_is_none_is_refused_without_its_content(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "config"
    file.write_text(f"{content}\n# token: secret")
    with pytest.raises(Failure, match="cannot be used") as failed:
        kubeconfig.Kubeconfig(str(file), context=None, namespace=None)
    assert "secret" not in str(failed.value)


def a_session(phase: str | None, *, ready: str = "False", **more: Any) -> dict[str, Any]:
    status = {"phase": phase, "message": "Said so.", "observedGeneration": 1} if phase else {}
    if phase:
        status["conditions"] = [{"type": "Ready", "status": ready, "message": "m"}]
    head = {"name": "x", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": head, "spec": {"owner": "ada"}, "status": status} | more


def test_a_session_that_is_ready_is_waited_for_no_more() -> None:
    assert not judge.is_awaited(judge.read(a_session("Running", ready="True")), 0, WHERE)


@pytest.mark.parametrize("phase", ["Pending", "Starting", "Running", "Waking"])
def test_a_session_on_its_way_is_waited_for_in_its_own_words(phase: str) -> None:
    seen = judge.read(a_session(phase))
    assert judge.is_awaited(seen, 1000, WHERE)
    assert judge.news(seen) == f"{phase}, Said so."


@pytest.mark.parametrize(
    ("phase", "code", "words"),
    [
        ("Hibernated", Exit.CONFLICT, "kubectl --context kind-porthole -n porthole-sessions patch"),
        ("Failed", Exit.FAILED, "describe session x"),
        ("Terminating", Exit.CONFLICT, "is ending"),
    ],
)
def test_a_session_that_does_not_get_ready_says_what_to_do(
    phase: str, code: Exit, words: str
) -> None:
    with pytest.raises(Failure, match=words) as failed:
        judge.is_awaited(judge.read(a_session(phase)), 0, WHERE)
    assert failed.value.code is code


def test_a_session_that_is_deleted_is_ending_whatever_its_status_says() -> None:
    body = a_session("Running", ready="True")
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:01Z"
    assert judge.read(body).over


def test_a_session_that_nobody_looks_at_is_told_after_a_while() -> None:
    seen = judge.read(a_session(None))
    assert judge.is_awaited(seen, judge.OPERATOR_WITHIN - 1, WHERE)
    with pytest.raises(Failure, match="No operator has looked") as failed:
        judge.is_awaited(seen, judge.OPERATOR_WITHIN, WHERE)
    assert failed.value.code is Exit.UNREACHABLE


def test_what_is_gone_has_ended_in_the_words_it_had() -> None:
    assert judge.read(a_session("Running")).gone().words == "It was deleted in the cluster."
    gone = judge.read(a_session("Terminating")).gone()
    assert (gone.phase, gone.words) == ("Terminated", "Said so.")


def test_the_page_is_told_how_to_wake_what_sleeps() -> None:
    shown = judge.shown(judge.read(a_session("Hibernated")), WHERE)
    assert shown["message"].startswith("Said so. Wake it with `kubectl")
    assert shown["agent"] == "kind-porthole"


@pytest.mark.parametrize(
    ("own", "noted", "seen_over"),
    [
        (None, None, ("vnc",)),  # by an operator that notes nothing
        ("rdp", None, ("rdp",)),
        (None, ["rdp"], ("rdp",)),
        (None, ["vnc", "rdp"], ("vnc", "rdp")),
        ("rdp", ["vnc", "rdp"], ("rdp", "vnc")),
        (None, ["vnc", "later"], ("vnc",)),
    ],
)
def test_a_session_is_seen_over_its_templates_protocols_and_first_over_its_own(
    own: str | None, noted: list[str] | None, seen_over: tuple[str, ...]
) -> None:
    body = a_session("Running", ready="True")
    body["spec"] |= {"protocol": own} if own else {}
    body["status"] |= {"template": {"name": "x", "digest": "d", "protocols": noted}}
    assert judge.read(body).protocols == seen_over
    assert judge.shown(judge.read(body), WHERE)["protocol"] == seen_over[0]


def a_granted(reader: bytes, about: str = "uid", **more: Any) -> SessionTicketStatus:
    public, randomness = public_half(reader), secrets.token_bytes(32)
    sealed = seal("the grant", public, about=about, randomness=randomness)
    where = {"podName": "x", "port": 7443, "fingerprint": "0" * 64}
    granted = {"state": "Granted", "grant": sealed, **where, **more}
    return SessionTicketStatus.model_validate(granted)


def test_a_ticket_is_read_by_whoever_asked_for_it() -> None:
    key = secrets.token_bytes(32)
    found = opening(a_granted(key), key, about="uid", channel="vnc", mode="view")
    assert (found.pod, found.port, found.grant, found.mode) == ("x", 7443, "the grant", "view")
    assert "the grant" not in repr(found)


def test_a_ticket_for_others_or_about_another_is_not() -> None:
    key = secrets.token_bytes(32)
    with pytest.raises(Failure, match="cannot be read"):
        opening(a_granted(secrets.token_bytes(32)), key, about="uid", channel="vnc", mode="view")
    with pytest.raises(Failure, match="cannot be read"):
        opening(a_granted(key, "other"), key, about="uid", channel="vnc", mode="view")
    with pytest.raises(Failure, match="says nothing"):
        opening(a_granted(key, podName=None), key, about="uid", channel="vnc", mode="view")


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("SessionUnknown", Exit.NOT_FOUND),
        ("NotRunning", Exit.CONFLICT),
        ("PolicyMissing", Exit.FAILED),
        ("SomethingNew", Exit.FAILED),
    ],
)
def test_a_refusal_is_said_in_the_operators_words(reason: str, code: Exit) -> None:
    said = {"state": "Refused", "reason": reason, "message": "Not today."}
    status = SessionTicketStatus.model_validate(said)
    with pytest.raises(Failure, match=r"^Not today\.$") as failed:
        opening(status, bytes(32), about="uid", channel="vnc", mode="view")
    assert failed.value.code is code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, Exit.NOT_ALLOWED),
        (401, Exit.NOT_ALLOWED),
        (404, Exit.CONFLICT),
        (500, Exit.UNREACHABLE),
    ],
)
def test_a_port_forward_that_is_refused(status: int, code: Exit) -> None:
    assert refusal(status, "x").code is code
