"""Who may write what of our objects: each policy on a real API server, asked by everybody."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from porthole_contract.crd.policies import Installation, policies
from porthole_contract.names import API_VERSION
from tests.support.api_server import ApiServer
from tests.support.kube_rest import Answer, Json, Rest
from tests.support.waiting import wait_until

NAMESPACE = "policies"
PLACE = Installation(
    name="tested",
    namespaces=(NAMESPACE,),
    agent="system:serviceaccount:tested:agent",
    operator="system:serviceaccount:tested:operator",
)
AGENT, OPERATOR = PLACE.agent, PLACE.operator
ADA, BOB, EVE, HELPER = "ada", "bob@example.org", "eve", "helper"
KEY = "A" * 43 + "="
"""Ada and Bob make their own; Helper may connect to `desk` by right; Eve has no right but that
to write the kinds, as everybody here has."""

EVERYTHING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "everybody"},
    "rules": [
        {
            "apiGroups": ["porthole.dev"],
            "resources": ["sessions", "sessions/status", "sessiontickets", "sessiontickets/status"],
            "verbs": ["*"],
        },
        {
            "apiGroups": ["", "apps", "networking.k8s.io"],
            "resources": [
                "pods",
                "secrets",
                "services",
                "configmaps",
                "persistentvolumeclaims",
                "controllerrevisions",
                "networkpolicies",
            ],
            "verbs": ["*"],
        },
    ],
}


def right(name: str, subresource: str, user: str, only: str | None = None) -> tuple[Json, Json]:
    """Return a Role that gives `create sessions/<subresource>`, and its binding."""
    rule: Json = {
        "apiGroups": ["porthole.dev"],
        "resources": [f"sessions/{subresource}"],
        "verbs": ["create"],
        **({"resourceNames": [only]} if only else {}),
    }
    role = {**EVERYTHING, "metadata": {"name": name}, "rules": [rule]}
    return role, bound(name, user)


def bound(role: str, *users: str) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [
            {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
            for user in users
        ],
    }


@pytest.fixture(scope="module")
def rest(api_server: ApiServer) -> Iterator[Rest]:
    api_server.apply_crds()
    owners = f"\n {BOB}: team \n{EVE}: nobody\n"
    space = {"name": NAMESPACE, "annotations": {"porthole.dev/owners": owners}}
    made = policies(PLACE)
    api_server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": space}, *made)
    try:
        with Rest(api_server, NAMESPACE) as client:
            for one in (
                EVERYTHING,
                bound("everybody", ADA, BOB, EVE, HELPER, AGENT, OPERATOR),
                *right("for-others", "for-others", AGENT),
                *right("connect", "connect", HELPER, only="desk"),
            ):
                assert client.create(one, keep=True).ok
            # A policy is in force a moment after it was made.
            wait_until(lambda: in_force(client), within=60)
            yield client
    finally:
        names = [f"{one['kind']}/{one['metadata']['name']}" for one in made]
        api_server.kubectl("delete", *names)
        api_server.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def in_force(rest: Rest) -> bool:
    """Tell whether each policy refuses what it is there to refuse."""
    refused = (
        rest.create(session("eve", owner=ADA), user=EVE),
        rest.create(session("eve", owner=EVE, annotations={"porthole.dev/x": ""}), user=EVE),
        rest.create(part("ConfigMap", labels={"porthole.dev/x": ""}), user=EVE),
        rest.create(ticket("desk", owner=ADA), user=EVE),
    )
    return not any(answer.ok for answer in refused) and not status_by(rest, EVE).ok


def session(name: str = "new", owner: str = ADA, **metadata: Any) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": "Session",
        "metadata": {"name": name, **metadata},
        "spec": {"owner": owner, "template": "desktop"},
    }


def ticket(of: str, owner: str | None = None) -> Json:
    spec = {"session": of, "publicKey": KEY, **({"owner": owner} if owner else {})}
    metadata = {"name": "asked"}
    return {"apiVersion": API_VERSION, "kind": "SessionTicket", "metadata": metadata, "spec": spec}


def status_by(rest: Rest, user: str | None, kind: str = "Session") -> Answer:
    """Return what becomes of `user` writing the status of an object that is there."""
    made = session("stays") if kind == "Session" else {**ticket("stays"), "metadata": {"name": "x"}}
    rest.create(made, keep=True)
    now = rest.get(made).body
    key = "phase" if kind == "Session" else "state"
    value = "Running" if kind == "Session" else "Granted"
    return rest.replace({**now, "status": {key: value}}, part="status", user=user)


def refused_by(policy: str, answer: Answer) -> str:
    """Return the sentence with which a policy refused."""
    assert answer.code == 403, answer
    assert f"ValidatingAdmissionPolicy 'tested-{policy}'" in answer.why
    return answer.why.partition(" denied request: ")[2]


# --- who may own -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        (ADA, ADA),
        (BOB, BOB),
        (BOB, "team"),  # the namespace's annotation says so
        (EVE, "nobody"),
        (AGENT, ADA),  # by right
        (None, ADA),  # an administrator has every right
    ],
)
def test_one_owns_for_oneself_or_by_mapping_or_by_right(
    rest: Rest, user: str | None, owner: str
) -> None:
    answer = rest.create(session(owner=owner), user=user)
    assert answer.ok, answer.why


@pytest.mark.parametrize(
    ("user", "owner"),
    [(EVE, ADA), (ADA, "team"), (EVE, "team"), (BOB, "nobody"), (OPERATOR, ADA), (EVE, "Eve")],
)
def test_nobody_owns_for_others(rest: Rest, user: str, owner: str) -> None:
    said = refused_by("session-owners", rest.create(session(owner=owner), user=user))
    assert said == (
        f"spec.owner: you are '{user}' and may not make sessions for '{owner}'; that needs a line"
        " in the namespace's annotation porthole.dev/owners, or the right to create"
        " sessions/for-others."
    )


@pytest.mark.parametrize("owner", ["team ", "team\n", "", " team"])
def test_a_mapping_is_not_read_loosely(rest: Rest, owner: str) -> None:
    assert not rest.create(session(owner=owner), user=BOB).ok


@pytest.mark.usefixtures("rest")
def test_other_namespaces_are_not_judged(api_server: ApiServer) -> None:
    api_server.kubectl("create", "namespace", "not-ours")
    try:
        with Rest(api_server, "not-ours") as elsewhere:
            for one in (EVERYTHING, bound("everybody", EVE)):
                elsewhere.create(one, keep=True)
            # The authorizer learns of a new role a moment later.
            wait_until(lambda: elsewhere.create(session(owner=ADA), user=EVE).ok, within=30)
    finally:
        api_server.kubectl("delete", "namespace", "not-ours", "--wait=false")


# --- who writes what is --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Session", "SessionTicket"])
def test_the_operator_writes_a_status(rest: Rest, kind: str) -> None:
    answer = status_by(rest, OPERATOR, kind)
    assert answer.ok, answer.why


@pytest.mark.parametrize("kind", ["Session", "SessionTicket"])
@pytest.mark.parametrize("user", [ADA, AGENT, None])
def test_nobody_else_does(rest: Rest, kind: str, user: str | None) -> None:
    said = refused_by("session-status", status_by(rest, user, kind))
    assert said == "status: only Porthole's operator writes it."


def test_a_status_that_comes_with_a_new_session_is_nothing(rest: Rest) -> None:
    made = rest.create({**session(), "status": {"phase": "Running"}}, user=ADA)
    assert made.ok
    assert made.body["status"]["phase"] == "Pending"


# --- who says where it comes from ----------------------------------------------------------------

MARKS = {
    "porthole.dev/origin": "api",
    "porthole.dev/order": "1",
    "porthole.dev/session-id": "01900041-0000-7000-8000-000000000041",
    "porthole.dev/home-id": "01900041-0000-7000-8000-000000000042",
    "porthole.dev/template-digest": "a" * 64,
}


def test_the_agent_marks_what_it_makes(rest: Rest) -> None:
    made = rest.create(session("marked", annotations=MARKS), user=AGENT, keep=True)
    assert made.ok, made.why
    newer = {**made.body["metadata"]["annotations"], "porthole.dev/order": "2"}
    assert rest.replace(with_(made.body, annotations=newer), user=AGENT).ok


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("user", [ADA, OPERATOR, None])
def test_nobody_else_marks(rest: Rest, user: str | None, mark: str) -> None:
    owner = ADA if user != OPERATOR else OPERATOR
    answer = rest.create(session(owner=owner, annotations={mark: MARKS[mark]}), user=user)
    assert refused_by("session-marks", answer) == (
        "metadata.annotations: origin, order and identities below porthole.dev/ are written by"
        " Porthole's agent alone."
    )


@pytest.mark.parametrize("mark", MARKS)
def test_nobody_takes_a_mark_away_or_changes_it(rest: Rest, mark: str) -> None:
    rest.create(session("marked", annotations=MARKS), user=AGENT, keep=True)
    now = rest.get(session("marked")).body
    for annotations in ({**MARKS, mark: "other"}, {k: v for k, v in MARKS.items() if k != mark}):
        refused_by("session-marks", rest.replace(with_(now, annotations=annotations), user=ADA))


@pytest.mark.parametrize("mark", ["porthole.dev/origin", "porthole.dev/session-id"])
def test_not_even_the_agent_rewrites_a_story(rest: Rest, mark: str) -> None:
    rest.create(session("marked", annotations=MARKS), user=AGENT, keep=True)
    rest.create(session("unmarked"), user=ADA, keep=True)
    for name, annotations in (
        ("marked", {**MARKS, mark: "other"}),
        ("unmarked", {mark: MARKS[mark]}),
    ):
        now = rest.get(session(name)).body
        said = refused_by(
            "session-marks", rest.replace(with_(now, annotations=annotations), user=AGENT)
        )
        assert said == (
            "metadata.annotations: porthole.dev/origin and porthole.dev/session-id never change."
        )


@pytest.mark.parametrize("what", ["labels", "annotations"])
@pytest.mark.parametrize("key", ["porthole.dev/x", "internal.porthole.dev/x"])
def test_words_of_ours_are_ours(rest: Rest, what: str, key: str) -> None:
    answer = rest.create(session(**{what: {key: "y"}}), user=ADA)
    assert refused_by("session-marks", answer) == (
        f"metadata.{what}: those below porthole.dev/ are written by Porthole alone."
    )
    for user in (AGENT, OPERATOR):
        ours = session(owner=user, **{what: {key: "y"}})
        assert rest.create(ours, user=user).ok


def test_what_only_looks_like_ours_is_anybodys(rest: Rest) -> None:
    theirs = {"notporthole.dev/x": "y", "example.org/porthole.dev": "y"}
    assert rest.create(session(labels=theirs, annotations=theirs), user=ADA).ok


def test_a_user_edits_beside_our_marks(rest: Rest) -> None:
    rest.create(session("marked", annotations=MARKS), user=AGENT, keep=True)
    now = rest.get(session("marked")).body
    edited = {**now, "spec": {**now["spec"], "desired": "Hibernated"}}
    answer = rest.replace(with_(edited, annotations={**MARKS, "note": "mine"}), user=ADA)
    assert answer.ok, answer.why


def with_(manifest: Json, **metadata: Any) -> Json:
    return {**manifest, "metadata": {**manifest["metadata"], **metadata}}


# --- what belongs to a session --------------------------------------------------------------------

CONTENTS: dict[str, tuple[str, Json]] = {
    "Pod": ("v1", {"spec": {"containers": [{"name": "a", "image": "none"}]}}),
    "Secret": ("v1", {"stringData": {"a": "b"}}),
    "Service": ("v1", {"spec": {"ports": [{"port": 80}]}}),
    "ConfigMap": ("v1", {"data": {"a": "b"}}),
    "PersistentVolumeClaim": (
        "v1",
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            }
        },
    ),
    "ControllerRevision": ("apps/v1", {"revision": 1, "data": {}}),
    "NetworkPolicy": ("networking.k8s.io/v1", {"spec": {"podSelector": {}}}),
}


def part(kind: str, name: str = "desk", **metadata: Any) -> Json:
    version, content = CONTENTS[kind]
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, **metadata},
        **content,
    }


OWNED = [
    {
        "apiVersion": API_VERSION,
        "kind": "Session",
        "name": "desk",
        "uid": "01900041-0000-7000-8000-000000000041",
        "controller": True,
    }
]


@pytest.mark.parametrize("kind", CONTENTS)
def test_the_operator_makes_the_parts_of_a_session(rest: Rest, kind: str) -> None:
    ours = {"porthole.dev/session": "desk"}
    made = part(kind, labels=ours, annotations=ours, ownerReferences=OWNED)
    answer = rest.create(made, user=OPERATOR)
    assert answer.ok, answer.why


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("user", [ADA, None])
@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"labels": {"porthole.dev/session": "desk"}}, "metadata.labels: "),
        ({"annotations": {"porthole.dev/owner": "ada"}}, "metadata.annotations: "),
        ({"ownerReferences": OWNED}, "metadata.ownerReferences: "),
    ],
)
def test_nobody_else_makes_them(
    rest: Rest, kind: str, user: str | None, metadata: Json, said: str
) -> None:
    answer = rest.create(part(kind, **metadata), user=user)
    assert refused_by("session-parts", answer).startswith(said)


def test_the_agent_pins_templates_and_makes_nothing_else(rest: Rest) -> None:
    ours = {"labels": {"porthole.dev/template": "desktop"}, "ownerReferences": OWNED}
    answer = rest.create(part("ControllerRevision", **ours), user=AGENT)
    assert answer.ok, answer.why
    refused_by("session-parts", rest.create(part("Secret", **ours), user=AGENT))


@pytest.mark.parametrize("kind", CONTENTS)
def test_what_is_not_ours_is_anybodys(rest: Rest, kind: str) -> None:
    other = [{**OWNED[0], "apiVersion": "apps/v1", "kind": "ReplicaSet"}]
    made = part(kind, labels={"app": "x"}, ownerReferences=other)
    answer = rest.create(made, user=ADA)
    assert answer.ok, answer.why


def test_others_may_change_what_is_theirs_of_our_objects(rest: Rest) -> None:
    """A volume's controllers, for one, write annotations of their own."""
    ours = {"porthole.dev/home": "x"}
    home = part("PersistentVolumeClaim", "home-1", labels=ours)
    made = rest.create(home, user=OPERATOR, keep=True)
    assert made.ok, made.why
    bound_to = with_(made.body, annotations={"pv.kubernetes.io/bind-completed": "yes"})
    assert rest.replace(bound_to, user=ADA).ok
    for labels in ({}, {"porthole.dev/home": "y"}):
        refused_by("session-parts", rest.replace(with_(made.body, labels=labels), user=ADA))


# --- who may open a session without a control plane ----------------------------------------------


@pytest.mark.parametrize(
    ("user", "of", "owner"),
    [
        (ADA, "hers", ADA),  # the operator looks whether it is
        (BOB, "x", "team"),  # by the namespace's mapping
        (HELPER, "desk", None),  # by right
        (HELPER, "desk", ADA),
        (None, "x", None),
    ],
)
def test_a_ticket_is_for_ones_own_or_by_right(
    rest: Rest, user: str | None, of: str, owner: str | None
) -> None:
    answer = rest.create(ticket(of, owner), user=user)
    assert answer.ok, answer.why


@pytest.mark.parametrize(
    ("user", "of", "owner"),
    [
        (EVE, "desk", None),
        (EVE, "desk", ADA),
        (ADA, "desk", "team"),
        (HELPER, "other", None),  # the right is for one session
        (AGENT, "desk", None),  # making for others is not looking at theirs
        (AGENT, "desk", ADA),
        (OPERATOR, "desk", None),  # so that it can find out whether this policy is in force
    ],
)
def test_a_ticket_for_anothers_is_refused(
    rest: Rest, user: str, of: str, owner: str | None
) -> None:
    said = refused_by("session-tickets", rest.create(ticket(of, owner), user=user))
    assert said.startswith("spec: you may open your own sessions")


# --- the policies themselves ----------------------------------------------------------------------


@pytest.mark.usefixtures("rest")
@pytest.mark.parametrize("name", [one["metadata"]["name"] for one in policies(PLACE)[::2]])
def test_the_server_finds_nothing_odd_in_a_policy(api_server: ApiServer, name: str) -> None:
    def checked() -> Any:
        text = api_server.kubectl("get", "validatingadmissionpolicy", name, "-o", "yaml")
        return yaml.safe_load(text).get("status", {}).get("typeChecking")

    wait_until(lambda: checked() is not None, within=60)
    assert checked() == {}
