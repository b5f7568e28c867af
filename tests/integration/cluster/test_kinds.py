"""Our kinds on a real API server: what it accepts, refuses in which words, and explains."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from porthole_contract.crd.kinds import kinds
from porthole_contract.crd.kinds import templates as templates_kind
from porthole_contract.names import API_VERSION, check_name
from porthole_contract.session import ObjectStatus, SessionSpec
from porthole_contract.template import SessionTemplateSpec
from porthole_contract.ticket import SessionTicketSpec
from tests.support.api_server import ApiServer
from tests.support.kube_rest import Json, Rest

NAMESPACE = "kinds"
KEY = "A" * 43 + "="
LEAST: dict[str, Json] = {
    "Session": {"owner": "ada", "template": "desktop"},
    "SessionTemplate": {"title": "Desktop"},
    "SessionTicket": {"session": "desk", "publicKey": KEY},
}
MODELS = {
    "Session": SessionSpec,
    "SessionTemplate": SessionTemplateSpec,
    "SessionTicket": SessionTicketSpec,
}


def manifest(kind: str, spec: Json | None = None, name: str = "one") -> Json:
    spec = {**LEAST[kind], **(spec or {})}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> Iterator[ApiServer]:
    api_server.apply_crds()
    api_server.kubectl("create", "namespace", NAMESPACE)
    yield api_server
    api_server.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def rest(server: ApiServer) -> Iterator[Rest]:
    with Rest(server, NAMESPACE) as client:
        yield client


# --- every rule: what passes, and what is refused in its words -----------------------------

LONG = "x" * 4096
VALUES: dict[str, tuple[Any, Any]] = {
    # sentence: (what passes, what does not)
    "must be lower-case letters, digits and '-', starting": ("a-1", "A_1"),
    "must be the name of a template, such as desktop": ("desktop@3", "desktop@0"),
    "must not contain spaces, slashes or control characters": ("a:b@c", "a b"),
    "must not contain invisible characters": ("ä", "a\u202eb"),
    "must not contain slashes or control characters": ("Ada's files", "a/b"),
    "must be letters, digits and '_', not beginning": ("_A1", "1A"),
    "must be a layout such as": ("de(nodeadkeys)", "de; reboot"),
    "must be a locale such as": ("de_DE.UTF-8@euro", "../x"),
    "must be a time zone such as": ("America/Argentina/Buenos_Aires", "../../etc/passwd"),
    "must be one line": ("https://example.org/?q=a b", "a\nb"),
    "must be the value of a label": ("a.b", "-a"),
    "must be a network such as": ("192.0.2.0/24", "everywhere"),
    "must not contain spaces or control characters": ("desktop:1", "a b"),
    "must be the name of a Debian package": ("openbox", "Open Box"),
    "must not contain control characters": ("Terminal ä", "a\x1bb"),
    "must be the standard base64 of 32 bytes": (KEY, "A" * 44),
    "must be a duration such as": ("8h30m", "soon"),
    "must not be longer than ten years": ("87840h", "87841h"),
    "must be a quantity such as": ("500m", "much"),
    "must be more than nothing": ("0.5Gi", "0"),
    "must be at most 131072 characters long in all": (
        [{"name": "A", "value": "x" * 32_767}] * 4,
        [{"name": "A", "value": "x" * 32_768}] * 4,
    ),
    "commands must be at most 65536 characters long": (
        [{"name": "x", "command": [LONG] * 16}],
        [{"name": "x", "command": [LONG] * 16 + ["x"]}],
    ),
    "keys must be those of labels": ({"example.org/a": "b"}, {"a b": "c"}),
    "labels under porthole.dev/ are Porthole's own": (
        {"notporthole.dev/x": "y"},
        {"internal.porthole.dev/x": "y"},
    ),
}
"""Rules about names and about changes have tests of their own."""
ELSEWHERE = ("metadata.name: ", "never changes")
BESIDE: dict[str, Json] = {
    "rules": {"cidr": "192.0.2.0/24"},
    "programs": {"name": "x", "command": ["x"]},
    "env": {"name": "A"},
    "conditions": {
        "type": "Ready",
        "status": "True",
        "reason": "Drawn",
        "lastTransitionTime": "2030-01-01T00:00:00Z",
    },
}
"""What else must stand in an item, or in a part of a status."""


def rules_of(kind: Json) -> Iterator[tuple[str, str, str]]:
    """Give (kind, path, sentence) for every rule in a definition."""
    (version,) = kind["spec"]["versions"]
    name = kind["spec"]["names"]["kind"]
    look = [("", version["schema"]["openAPIV3Schema"])]
    while look:
        path, schema = look.pop()
        for rule in schema.get("x-kubernetes-validations", []):
            yield name, path.lstrip("."), rule["message"]
        look += [(f"{path}.{key}", one) for key, one in schema.get("properties", {}).items()]
        if "items" in schema:
            look.append((f"{path}.[]", schema["items"]))
        if "additionalProperties" in schema:
            look.append((f"{path}.{{}}", schema["additionalProperties"]))


RULES = sorted({rule for kind in kinds() for rule in rules_of(kind)})


def placed(path: str, value: Any) -> Any:
    """Return an object that has `value` at `path`, and what must stand beside it."""
    for step in reversed(path.split(".")):
        if step == "[]":
            value = [value]
        elif step == "{}":
            value = {"key": value}
        else:
            value = {step: value}
    return filled(value)


def filled(value: Any, name: str = "") -> Any:
    if isinstance(value, list):
        return [filled(one, name) for one in value]
    if isinstance(value, dict):
        inner = {key: filled(one, key) for key, one in value.items()}
        return {**BESIDE.get(name, {}), **inner}
    return value


def test_every_sentence_has_its_two_values() -> None:
    sentences = {said for _, _, said in RULES if not said.startswith(ELSEWHERE)}
    assert all(any(said.startswith(start) for start in VALUES) for said in sentences)
    assert all(any(said.startswith(start) for said in sentences) for start in VALUES)


@pytest.mark.parametrize(
    ("kind", "path", "said"),
    [rule for rule in RULES if not rule[2].startswith(ELSEWHERE)],
    ids=lambda text: text.replace(" ", "_")[:50],
)
def test_a_rule_lets_pass_and_refuses_in_its_words(
    rest: Rest, kind: str, path: str, said: str
) -> None:
    ((good, bad),) = [values for start, values in VALUES.items() if said.startswith(start)]
    written = path.removesuffix(".{}").replace(".[]", "[0]")
    for value, passes in ((good, True), (bad, False)):
        part, _, rest_of_path = path.partition(".")
        # Only one field is another than in the least that there must be.
        content = placed(rest_of_path, value)
        if part == "status":
            content["template"]["digest"] = "a" * 64
            answer = status_written(rest, kind, content)
        else:
            answer = rest.create(manifest(kind, content))
        assert answer.ok == passes, answer.why
        if not passes:
            assert said in answer.why
            assert written in answer.why


def status_written(rest: Rest, kind: str, status: Json) -> Any:
    there = rest.create(manifest(kind, name="with-status"), keep=True)
    assert there.ok or there.code == 409
    now = rest.get(manifest(kind, name="with-status")).body
    return rest.replace({**now, "status": {**now.get("status", {}), **status}}, part="status")


@pytest.mark.parametrize("kind", ["Session", "SessionTemplate"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a" * 52, ""),
        ("a" * 53, "metadata.name: must be at most 52 characters long"),
        ("a" * 253, "metadata.name: must be at most 52 characters long"),
        ("a.b", "metadata.name: must be lower-case letters, digits and '-'"),
        ("a-", "a lowercase RFC 1123 subdomain"),  # Kubernetes' own rule comes first
    ],
)
def test_a_name_is_what_a_session_can_have(rest: Rest, kind: str, name: str, said: str) -> None:
    answer = rest.create(manifest(kind, name=name))
    assert answer.ok == (said == "")
    assert said in answer.why


def test_an_owner_never_changes(rest: Rest) -> None:
    made = rest.create(manifest("Session", name="owned"), keep=True)
    assert made.ok
    same = rest.replace(made.body | {"spec": {**made.body["spec"], "desired": "Hibernated"}})
    assert same.ok, same.why
    other = rest.replace(made.body | {"spec": {**made.body["spec"], "owner": "eve"}})
    assert "spec.owner: Invalid value" in other.why
    assert "never changes; make a new session for another owner" in other.why


def test_a_ticket_never_changes(rest: Rest) -> None:
    made = rest.create(manifest("SessionTicket", name="asked"), keep=True)
    assert made.ok
    labelled = {**made.body["metadata"], "labels": {"a": "b"}}
    assert rest.replace(made.body | {"metadata": labelled}).ok
    other = rest.replace(made.body | {"spec": {**made.body["spec"], "session": "hers"}})
    assert "never changes; ask again with another ticket" in other.why


# --- what is written, is read: models and server agree ---------------------------------------

texts = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1)
names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?", fullmatch=True)
labels = st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", fullmatch=True)
seconds = st.integers(0, 10**6) | st.sampled_from([0, 3660 * 24 * 3600])
durations = st.one_of(
    st.builds("{}s".format, seconds),
    st.builds("{}h{}m{}s".format, st.integers(0, 99), st.integers(0, 59), st.integers(0, 59)),
    st.builds("{}.{}s".format, st.integers(0, 99), st.integers(0, 999_999)),
)
quantities = st.one_of(
    st.builds("{}{}".format, st.integers(1, 999), st.sampled_from(["", "m", "k", "Ki", "Gi", "P"])),
    st.builds("0.{}{}".format, st.integers(1, 10**9 - 1), st.sampled_from(["", "m", "Gi", "Ei"])),
    st.integers(1, 10**12),
)
amounts = st.fixed_dictionaries(
    {}, optional={"cpu": quantities, "memory": quantities, "storage": quantities}
)
resources = st.fixed_dictionaries({}, optional={"requests": amounts, "limits": amounts})
idle = st.fixed_dictionaries(
    {}, optional={"after": durations, "action": st.sampled_from(["Hibernate", "Delete"])}
)
display = st.fixed_dictionaries(
    {},
    optional={
        "width": st.integers(320, 7680),
        "height": st.integers(240, 4320),
        "scale": st.integers(50, 400),
    },
)
variables = st.fixed_dictionaries(
    {"name": st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)},
    optional={"value": st.text(st.characters(codec="utf-8", exclude_characters="\x00"))},
)
wishes = {
    "protocol": st.sampled_from(["vnc", "rdp"]),
    "display": display,
    "keyboard": st.from_regex(r"[a-z]{2,8}(\([a-z0-9_-]{1,9}\))?", fullmatch=True),
    "locale": st.from_regex(r"[A-Za-z_]{1,9}(\.[A-Za-z0-9-]{1,9})?(@[a-z]{1,9})?", fullmatch=True),
    "timezone": st.from_regex(r"[A-Za-z0-9_+-]{1,9}(/[A-Za-z0-9_+-]{1,9}){0,3}", fullmatch=True),
    "env": st.lists(variables, max_size=4),
    "start": st.text(st.characters(codec="utf-8", exclude_characters="\x00\n\r"), min_size=1),
    "resources": resources,
    "idle": idle,
    "lifetime": durations,
}
sessions = st.fixed_dictionaries(
    {
        "owner": st.text(
            st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/\\"),
            min_size=1,
            max_size=253,
        ),
        "template": names | st.builds("{}@{}".format, names, st.integers(1, 10**9 - 1)),
    },
    optional={
        **wishes,
        "desired": st.sampled_from(["Running", "Hibernated"]),
        "home": st.from_regex(r"[^\x00-\x1f/\ud800-\udfff]{1,63}", fullmatch=True),
        "labels": st.dictionaries(labels, labels | st.just(""), max_size=8),
    },
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
# Of a pod's own fields the server checks the type; that has a test of its own.
(version,) = templates_kind()["spec"]["versions"]
in_a_pod = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["pod"]
templates = st.fixed_dictionaries(
    {"title": st.from_regex(r"[^\x00-\x1f\ud800-\udfff]{1,80}", fullmatch=True)},
    optional={
        "description": texts,
        "icon": texts,
        "image": st.from_regex(r"[!-~]{1,40}", fullmatch=True),
        "packages": st.lists(st.from_regex(r"[a-z0-9][a-z0-9.+-]{1,9}", fullmatch=True)),
        "protocols": st.lists(st.sampled_from(["vnc", "rdp"]), min_size=1, max_size=2),
        "profile": st.sampled_from(["restricted", "rdp", "sandbox"]),
        "programs": st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.from_regex(r"[^\x00-\x1f\ud800-\udfff]{1,63}", fullmatch=True),
                    "command": st.lists(texts, min_size=1, max_size=3),
                },
                optional={"autostart": st.booleans(), "restart": st.booleans(), "icon": texts},
            ),
            max_size=3,
        ),
        "defaults": st.fixed_dictionaries({}, optional=wishes),
        "limits": st.fixed_dictionaries(
            {}, optional={"resources": amounts, "lifetime": durations, "idleAfter": durations}
        ),
        "resources": resources,
        "egress": st.fixed_dictionaries(
            {},
            optional={
                "mode": st.sampled_from(["none", "internet", "all", "rules"]),
                "rules": st.lists(
                    st.fixed_dictionaries(
                        {"cidr": st.just("192.0.2.0/24")},
                        optional={"ports": st.lists(st.integers(1, 65535), max_size=3)},
                    ),
                    max_size=3,
                ),
            },
        ),
        "idle": idle,
        "pod": st.dictionaries(
            texts.filter(lambda name: name not in in_a_pod["properties"]), json_values, max_size=3
        ),
    },
)
WHOLE = {"Session": sessions, "SessionTemplate": templates}
together = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("kind", WHOLE)
@given(data=st.data())
@together
def test_what_a_model_writes_the_server_keeps(rest: Rest, kind: str, data: st.DataObject) -> None:
    spec = MODELS[kind].model_validate(data.draw(WHOLE[kind]))
    answer = rest.create(manifest(kind, spec.to_dict()))
    assert answer.ok, answer.why
    assert MODELS[kind].model_validate(answer.body["spec"]) == spec


@given(spec=templates)
@together
def test_a_template_has_the_digest_that_it_had(rest: Rest, spec: Json) -> None:
    model = SessionTemplateSpec.model_validate(spec)
    answer = rest.create(manifest("SessionTemplate", spec))
    assert answer.ok, answer.why
    assert SessionTemplateSpec.model_validate(answer.body["spec"]).digest() == model.digest()


NEARLY = st.text(st.sampled_from("aZ09-_.:@/\\ ()+;=\x00\x1b\n\x7f\u00a0\u202eäßİ\u2028😀hmsGiEk"))
ODD: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("owner", "home", "keyboard", "locale", "timezone", "start"), NEARLY),
    "template": NEARLY | st.builds("{}@{}".format, names, NEARLY | st.integers(-1, 10**10)),
    "lifetime": st.text(st.sampled_from("0189hms. -"), max_size=9) | NEARLY,
    "resources": st.builds(
        lambda text: {"limits": {"memory": text}},
        st.text(st.sampled_from("019.mkKMGTPEi-e"), max_size=9) | st.integers(-1, 2**63),
    ),
    "env": st.lists(st.builds(lambda name: {"name": name}, NEARLY), max_size=2),
    "labels": st.dictionaries(NEARLY, NEARLY, max_size=2),
    "desired": NEARLY | st.sampled_from(["running", "Terminated"]),
    "display": st.dictionaries(
        st.sampled_from(["width", "height", "scale", "depth"]), st.integers(-1, 10_000) | st.none()
    ),
}


@pytest.mark.parametrize("field", ODD)
@given(data=st.data())
@together
def test_what_the_server_lets_pass_the_model_reads(
    rest: Rest, field: str, data: st.DataObject
) -> None:
    answer = rest.create(manifest("Session", {field: data.draw(ODD[field])}))
    if answer.ok:
        SessionSpec.model_validate(answer.body["spec"])
    else:
        assert answer.code in {400, 422}, answer.why


BAD = [
    ("owner", ""),
    ("owner", "x" * 254),
    ("template", "../x"),
    ("template", ""),
    ("template", "a" * 53),
    ("template", "desktop@1000000000"),
    ("template", 3),
    ("desired", "Terminated"),
    ("protocol", "ssh"),
    ("display", {"width": 1}),
    ("display", {"width": 100_000}),
    ("display", {"width": 1280.5}),
    ("display", {"depth": 24}),
    ("env", [{"name": "A", "value": "x\x00y"}]),
    ("env", [{"name": f"A{i}"} for i in range(257)]),
    ("start", ""),
    ("start", "x" * 4097),
    ("home", "x" * 64),
    ("resources", {"limits": {"gpu": "1"}}),
    ("resources", {"limits": {"memory": "-1Gi"}}),
    ("idle", {"after": "-1s"}),
    ("idle", {"action": "Explode"}),
    ("lifetime", "1.5h"),
    ("labels", {f"a{i}": "" for i in range(65)}),
    ("labels", {"a": "x" * 64}),
    ("nonsense", 1),
]


@pytest.mark.parametrize(("field", "value"), BAD, ids=lambda value: str(value)[:30])
def test_what_the_model_refuses_the_server_refuses(rest: Rest, field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        SessionSpec.model_validate({**LEAST["Session"], field: value})
    answer = rest.create(manifest("Session", {field: value}))
    assert not answer.ok
    assert field in answer.why


@given(name=NEARLY)
@together
def test_a_name_that_passes_is_one(rest: Rest, name: str) -> None:
    if rest.create(manifest("Session", name=name)).ok:
        assert check_name(name) == name


# --- what a person sees ------------------------------------------------------------------------


def explained(server: ApiServer, path: str) -> str:
    """Return what kubectl explains, as one line; it takes a moment until it can."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return " ".join(server.kubectl("explain", path).split())
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def test_kubectl_explains_in_our_words(server: ApiServer) -> None:
    said = explained(server, "session.spec.display")
    assert "The screen. Left out: as the template says, else 1280 by 720." in said
    assert "width <integer> Pixels from left to right." in said
    assert "ended by deleting it" in explained(server, "session.spec.desired")
    assert "the one to wait for" in explained(server, "session.status.conditions")
    assert "Labels that a node must have" in explained(server, "sessiontemplate.spec.pod")
    assert "sealed for it" in explained(server, "sessionticket.spec.publicKey")


def test_a_templates_pod_is_passed_on_as_it_is(rest: Rest) -> None:
    pod = {
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"anything": ["at", {"all": None}]}},
        "runtimeClassName": "gvisor",
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "volumes": [{"name": "v", "configMap": {"name": "c"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/opt/v", "readOnly": True}],
        "resources": {"nvidia.com/gpu": 1},
        "ofALaterVersion": {"is": "kept"},
    }
    answer = rest.create(manifest("SessionTemplate", {"pod": pod}))
    assert answer.ok, answer.why
    assert answer.body["spec"]["pod"] == pod
    wrong = rest.create(manifest("SessionTemplate", {"pod": {"nodeSelector": {"disk": 1}}}))
    assert "spec.pod.nodeSelector.disk" in wrong.why


TWO_FIELDS = """
apiVersion: porthole.dev/v1alpha1
kind: Session
metadata: {name: two-fields}
spec: {owner: ada, template: desktop}
"""


def test_an_owner_and_a_template_are_a_session(rest: Rest, server: ApiServer) -> None:
    server.kubectl("apply", "-n", NAMESPACE, "-f", "-", given=TWO_FIELDS)
    spec = rest.get(manifest("Session", name="two-fields")).body["spec"]
    assert spec == {"owner": "ada", "template": "desktop", "desired": "Running"}
    row = server.kubectl("get", "session", "two-fields", "-n", NAMESPACE, "--no-headers")
    assert row.split()[:4] == ["two-fields", "Pending", "ada", "desktop"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("desktop@0", "must be the name of a template, such as desktop, or one of its revisions"),
        ("Desktop", "must be the name of a template, such as desktop, or one of its revisions"),
        ("desktop@", "must be the name of a template, such as desktop, or one of its revisions"),
        ("x" * 300, "Too long: may not be more than 62 bytes"),
        ({"name": "desktop"}, 'unknown field "spec.template.name"'),
        ({}, "must be of type string"),
        (["desktop"], "must be of type string"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_template_is_written_in_one_way(rest: Rest, template: Any, said: str) -> None:
    answer = rest.create(manifest("Session", {"template": template}))
    assert not answer.ok
    assert "spec.template" in answer.why
    assert said in answer.why


def test_a_session_gets_the_defaults_that_are_safe(rest: Rest) -> None:
    made = rest.create(manifest("Session", {"display": {"width": 1920}, "idle": {}})).body
    assert made["spec"] == {
        **LEAST["Session"],
        "desired": "Running",
        "display": {"width": 1920, "height": 720, "scale": 100},
        "idle": {"action": "Hibernate"},
    }


def test_a_session_that_nobody_has_seen_says_so(rest: Rest, server: ApiServer) -> None:
    rest.create(manifest("Session", name="unseen"), keep=True)
    status = rest.get(manifest("Session", name="unseen")).body["status"]
    assert (status["phase"], status["message"]) == ("Pending", "No operator has seen it yet.")
    assert ObjectStatus.model_validate(status).phase == "Pending"
    row = server.kubectl("get", "sessions", "unseen", "-n", NAMESPACE).splitlines()
    assert row[0].split() == ["NAME", "PHASE", "OWNER", "TEMPLATE", "REASON", "AGE"]
    assert row[1].split()[:4] == ["unseen", "Pending", "ada", "desktop"]


def test_a_status_keeps_one_condition_of_each_type(rest: Rest, server: ApiServer) -> None:
    rest.create(manifest("Session", name="told"), keep=True)
    now = rest.get(manifest("Session", name="told")).body
    condition = {**BESIDE["conditions"], "message": "Its screen has been painted."}
    status = {
        "phase": "Running",
        "reason": "Drawn",
        "message": "Its screen has been painted.",
        "conditions": [condition, {**condition, "type": "OfALaterVersion"}],
        "gate": {"address": "10.0.0.1:7443", "fingerprint": "a" * 64},
        "startedAt": "2030-01-01T00:00:00Z",
        "home": "01900041-0000-7000-8000-000000000041",
        "template": {"name": "desktop", "digest": "b" * 64},
        "attempt": {"begunAt": "2030-01-01T00:00:00Z", "losses": ["2030-01-01T00:00:00Z"]},
    }
    written = rest.replace({**now, "status": status}, part="status", keep=True)
    assert written.ok, written.why
    server.kubectl("wait", "--for=condition=Ready", "session/told", "-n", NAMESPACE, "--timeout=9s")
    table = server.kubectl("get", "sess", "told", "-n", NAMESPACE, "--no-headers").split()
    assert table[:5] == ["told", "Running", "ada", "desktop", "Drawn"]
    wide = server.kubectl("get", "sess", "told", "-n", NAMESPACE, "-o", "wide")
    assert "VIEWERS" in wide
    assert "Its screen has been painted." in wide
    twice = rest.replace(
        {**written.body, "status": {**status, "conditions": [condition, condition]}}, part="status"
    )
    assert "Duplicate value" in twice.why


def test_all_kinds_are_listed_by_their_category(rest: Rest, server: ApiServer) -> None:
    for kind in LEAST:
        rest.create(manifest(kind, name="listed"), keep=True)
    listed = server.kubectl("get", "porthole", "-n", NAMESPACE, "-o", "name").split()
    assert {f"{kind.lower()}.porthole.dev/listed" for kind in LEAST} <= set(listed)


def test_kubectl_refuses_a_field_that_nobody_knows(server: ApiServer) -> None:
    wrong = json.dumps(manifest("Session", {"screen": {"width": 1}}))
    with pytest.raises(Exception, match="returned non-zero") as caught:
        server.kubectl("apply", "-n", NAMESPACE, "-f", "-", given=wrong)
    assert 'unknown field "spec.screen"' in str(caught.value.__notes__)
