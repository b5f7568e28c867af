"""What is written into a cluster: whole objects, each with its fence."""

import json
from datetime import UTC, datetime

from porthole_agent.runtimes.kubernetes import manifests, seen
from porthole_agent.runtimes.kubernetes.judge import LetBe, judge
from porthole_agent.runtimes.kubernetes.rights import RIGHTS, rules
from porthole_contract.cluster import Scope
from porthole_contract.names import revision_object
from porthole_contract.session import Desired, EnvVar
from porthole_contract.testing import builders
from tests.support.cluster_objects import NAMESPACE, SESSION, UID, a_session

HOME = builders.an_id(9)
SPEC = builders.a_session_spec()


def an_order(**changes):
    return manifests.session(
        **{
            "namespace": NAMESPACE,
            "name": "one",
            "identity": SESSION,
            "order": 3,
            "spec": SPEC,
            "digest": "d" * 64,
            "home": HOME,
            **changes,
        }
    )


def test_an_order_to_make_a_session_names_a_state_that_no_object_has() -> None:
    made = an_order()
    assert made == {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "Session",
        "metadata": {
            "namespace": NAMESPACE,
            "name": "one",
            "resourceVersion": "1",
            "annotations": {
                "porthole.dev/origin": "api",
                "porthole.dev/session-id": str(SESSION),
                "porthole.dev/order": "3",
                "porthole.dev/template-digest": "d" * 64,
                "porthole.dev/home-id": str(HOME),
                "porthole.dev/applied-spec": made["metadata"]["annotations"][
                    "porthole.dev/applied-spec"
                ],
            },
        },
        "spec": SPEC.to_dict(),
    }
    assert json.loads(made["metadata"]["annotations"]["porthole.dev/applied-spec"]) == made["spec"]


def test_an_order_to_change_one_names_the_object_and_the_state_it_was_read_in() -> None:
    metadata = an_order(before=a_session(version="42"))["metadata"]
    assert (metadata["uid"], metadata["resourceVersion"]) == (str(UID), "42")


def test_what_was_written_is_seen_as_it_was_ordered() -> None:
    written = an_order()
    written["metadata"]["uid"] = str(UID)
    told = seen.observation(written)
    assert told is not None
    assert (told.session, told.order, told.spec) == (SESSION, 3, SPEC)
    assert judge(written, None) == LetBe()


def test_what_is_not_known_is_not_written() -> None:
    annotations = an_order(digest=None, home=None)["metadata"]["annotations"]
    assert not {"porthole.dev/template-digest", "porthole.dev/home-id"} & annotations.keys()


def test_a_spec_too_long_for_an_annotation_is_not_remembered_there() -> None:
    long = SPEC.evolve(env=tuple(EnvVar(name=f"A{n}", value="ä" * 32768) for n in range(4))[:3])
    annotations = an_order(spec=long)["metadata"]["annotations"]
    assert "porthole.dev/applied-spec" not in annotations


def test_of_a_session_made_with_kubectl_only_the_wish_and_the_order_are_written() -> None:
    wish = manifests.wish(a_session(ours=False), order=4, desired=Desired.HIBERNATED)
    assert wish["spec"] == {"desired": "Hibernated"}
    assert wish["metadata"]["annotations"] == {"porthole.dev/order": "4"}
    assert wish["metadata"]["uid"] == str(UID)


def test_a_revision_is_named_by_its_content_and_owned_by_who_uses_it() -> None:
    spec = builders.a_template_spec()
    held = revision_object(spec.digest(), "one")
    thing = manifests.revision(NAMESPACE, held, "desktop", spec, [a_session()])
    assert thing["metadata"]["name"].startswith(f"template-{spec.digest()[:40]}-")
    assert seen.revision_spec(thing) == spec
    (owner,) = thing["metadata"]["ownerReferences"]
    assert (owner["uid"], "controller" in owner) == (str(UID), False)


def test_an_event_says_about_what_and_by_whom() -> None:
    event = manifests.put_back_event(a_session(), "Why.", datetime(2026, 1, 1, tzinfo=UTC))
    assert event["involvedObject"]["uid"] == str(UID)
    assert event["eventTime"] == "2026-01-01T00:00:00.000000Z"
    assert event["reportingComponent"] == "porthole-agent"


def test_no_right_is_about_secrets_or_statuses_and_none_is_a_wildcard() -> None:
    for right in RIGHTS:
        assert not right.resource.startswith("secrets")
        assert not right.resource.endswith("/status")
        assert "*" not in (right.group, right.resource, *right.verbs, *right.names)


def test_rights_are_read_as_the_rules_of_roles() -> None:
    assert {
        "apiGroups": ["porthole.dev"],
        "resources": ["sessions"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    } in rules(Scope.SESSIONS)
    assert {
        "apiGroups": [""],
        "resources": ["namespaces"],
        "verbs": ["get"],
        "resourceNames": ["kube-system"],
    } in rules(Scope.CLUSTER)
