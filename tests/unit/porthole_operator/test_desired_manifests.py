"""Whole manifests: what the makers make is what stands in golden/, word for word.

After a change, read the difference and write it into the file by hand: it is there to be read.
"""

import base64
import json
from pathlib import Path

import pytest
import yaml

from porthole_contract.configuration import hostname
from porthole_contract.errors import Refused
from porthole_contract.names import ANNOTATION_FILES
from porthole_contract.quantities import format_bytes
from porthole_contract.template import Egress, EgressRule
from porthole_contract.testing.builders import NOON
from porthole_desktop.gate.config import Config
from porthole_desktop.supervisor import config as supervisor
from porthole_operator.desired.extras import read_extras
from porthole_operator.desired.home import home_claim
from porthole_operator.desired.network_policy import egress, network_policy
from porthole_operator.desired.prepull import prepull
from porthole_operator.desired.profiles import plain_pod, pod
from porthole_operator.desired.recipe import shape_of
from porthole_operator.desired.revision import revision
from porthole_operator.desired.secret import Keys, secret
from porthole_operator.desired.service import service
from porthole_operator.desired.shelf import shelf
from tests.support.operator_worlds import FINGERPRINT, ISSUER, SITE, UID, a_recipe, a_subject

GOLDEN = Path(__file__).parent / "golden"
SUBJECT = a_subject(spec={"home": "Work files"})
RECIPE = a_recipe(SUBJECT)
WISH = "2026-01-15T18:00:00+00:00"
LENDING = a_recipe(a_subject(spec={"home": "Work files"}, annotations={ANNOTATION_FILES: WISH}))
MADE = {
    "pod": pod(RECIPE, 2, FINGERPRINT),
    "shelf": shelf(LENDING, FINGERPRINT),
    "service": service(RECIPE),
    "network-policy": network_policy(RECIPE),
    "home": home_claim(RECIPE, SUBJECT.home),
    "revision": revision(SUBJECT, RECIPE.template),
    "prepull": prepull(
        SITE,
        {"name": "desktop", "namespace": "porthole-sessions", "uid": UID},
        RECIPE.template.spec,
        RECIPE.extras,
    ),
}


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_manifest_is_what_stands_in_the_file(name):
    assert MADE[name] == yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())


def test_what_a_daemon_set_hands_on_is_nothing_that_only_porthole_may_write():
    made = MADE["prepull"]
    handed_on = {
        **made["metadata"].get("annotations", {}),
        **made["spec"]["template"]["metadata"]["labels"],
        **made["spec"]["template"]["metadata"].get("annotations", {}),
    }
    assert not [key for key in handed_on if "porthole.dev/" in key]
    assert shape_of(made)


def test_every_file_is_of_a_maker():
    assert {path.stem for path in GOLDEN.iterdir()} == set(MADE)


SECRET = secret(RECIPE, Keys.make(SUBJECT.id, NOON))
DATA = {name: base64.b64decode(value) for name, value in SECRET["data"].items()}


class TestSecret:
    def test_tells_the_gate_what_a_gate_can_read(self):
        config = Config.model_validate_json(DATA["gate.json"])
        keys = Keys.read(SECRET)
        assert config.fingerprint == keys.gate.fingerprint
        assert config.session == SUBJECT.id
        assert config.issuers == (ISSUER, *keys.issuers)
        assert (config.listen, config.health) == ("tcp:0.0.0.0:7443", "tcp:0.0.0.0:7080")

    def test_tells_the_supervisor_who_may_speak_to_it(self):
        config = json.loads(DATA["desktop.json"])
        assert (config["gate_uid"], config["title"]) == (10001, "one")

    def test_tells_both_what_they_are_while_it_sleeps(self):
        gate, desktop = (json.loads(DATA[name]) for name in ("files-gate.json", "files.json"))
        assert Config.model_validate(gate).screens == ()
        assert {**gate, "screens": None} == {**json.loads(DATA["gate.json"]), "screens": None}
        assert supervisor.parse(desktop).files_seconds == 60

    def test_holds_nothing_of_one_program_for_the_other(self):
        assert b"PRIVATE KEY" in DATA["tls.key"]
        assert b"PRIVATE" not in DATA["desktop.json"] + DATA["gate.json"]

    @pytest.mark.parametrize(
        "data", [{}, {"tls.crt": "x"}, {"tls.crt": "eA==", "tls.key": "eA=="}, {"tls.crt": 3}]
    )
    def test_one_without_all_keys_has_none(self, data):
        assert Keys.read({"data": data}) is None

    def test_the_operators_key_may_show_the_screen_and_listen_and_no_more(self):
        issuers = {one.key_id: (one.channels, one.modes) for one in Keys.read(SECRET).issuers}
        assert issuers == {
            "operator": (("rdp", "vnc"), ("control", "view")),
            "operator-observer": (("control",), ("observe",)),
        }

    def test_a_key_of_another_certificate_is_none(self):
        other = secret(RECIPE, Keys.make(SUBJECT.id, NOON))
        mixed = {**SECRET["data"], "tls.key": other["data"]["tls.key"]}
        assert Keys.read({"data": mixed}) is None


class TestPod:
    def test_without_a_home_its_files_are_the_nodes_and_limited(self):
        made = plain_pod(a_recipe())
        assert made["spec"]["volumes"][0] == {"name": "home", "emptyDir": {"sizeLimit": "5Gi"}}
        desktop = made["spec"]["containers"][0]
        assert desktop["resources"]["limits"]["ephemeral-storage"] == format_bytes(
            5 * 2**30 + 2**28
        )

    def test_has_the_same_shape_in_every_attempt_and_another_when_its_spec_changes(self):
        shapes = {shape_of(pod(RECIPE, number, FINGERPRINT)) for number in range(3)}
        assert shapes == {shape_of(plain_pod(RECIPE))}
        assert shape_of(plain_pod(a_recipe(SUBJECT, image="other"))) not in shapes

    def test_takes_what_its_template_adds(self):
        extras = {
            "nodeSelector": {"desktops": "yes"},
            "runtimeClassName": "gvisor",
            "imagePullSecrets": [{"name": "registry"}],
            "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "one"}}}],
            "volumes": [{"name": "books", "configMap": {"name": "books"}}],
            "volumeMounts": [{"name": "books", "mountPath": "/srv/books", "readOnly": True}],
            "resources": {"nvidia.com/gpu": 1},
        }
        made = plain_pod(a_recipe(pod=extras))["spec"]
        assert made["nodeSelector"] == {"desktops": "yes"}
        assert made["runtimeClassName"] == "gvisor"
        assert made["imagePullSecrets"] == [{"name": "registry"}]
        assert made["volumes"][-1] == extras["volumes"][0]
        (desktop,) = made["containers"]
        assert desktop["env"][-1] == extras["env"][0]
        assert desktop["volumeMounts"][-1] == extras["volumeMounts"][0]
        assert desktop["resources"]["limits"]["nvidia.com/gpu"] == 1

    def test_a_bare_image_is_one_of_ours_and_any_other_is_taken_as_it_is(self):
        image = plain_pod(a_recipe(image="desktop-vnc"))["spec"]["containers"][0]["image"]
        assert image == "localhost/porthole/desktop-vnc:0.1.0"
        image = plain_pod(a_recipe(image="example/mine:3"))["spec"]["containers"][0]["image"]
        assert image == "example/mine:3"

    def test_users_labels_never_become_ours(self):
        subject = a_subject(spec={"labels": {"app.kubernetes.io/managed-by": "me", "team": "a"}})
        labels = plain_pod(a_recipe(subject))["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "porthole-operator"
        assert labels["team"] == "a"


@pytest.mark.parametrize(
    ("pod_fields", "says"),
    [
        ({"hostNetwork": True}, "spec.pod.hostNetwork: is not a field that a template may set."),
        ({"serviceAccountName": "x"}, "serviceAccountName: is not a field"),
        ({"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}, "a volume has a name and one of"),
        ({"volumes": [{"name": "home", "emptyDir": {}}]}, "'home' is used by Porthole"),
        ({"volumeMounts": [{"name": "a", "mountPath": "/run/porthole/x"}]}, "nothing can be"),
        ({"volumeMounts": [{"name": "a", "mountPath": "/srv/../tmp"}]}, "nothing can be mounted"),
        ({"volumeMounts": [{"name": "a", "mountPath": "/tmp/"}]}, "nothing can be mounted at"),
        (
            {"volumes": [{"name": "a", "projected": {"sources": [{"serviceAccountToken": {}}]}}]},
            "gets no token of the cluster",
        ),
        ({"resources": {"cpu": "4"}}, "'cpu' is no extended resource"),
    ],
)
def test_a_template_cannot_open_the_pods_walls(pod_fields, says):
    with pytest.raises(Refused, match=says.replace(".", r"\.")):
        read_extras(pod_fields)


def test_egress_follows_the_template():
    assert egress(Egress(mode="none")) == []
    assert egress(Egress(mode="all")) == [{}]
    rules = Egress(mode="rules", rules=(EgressRule(cidr="10.1.0.0/16", ports=(443,)),))
    assert egress(rules)[1] == {
        "to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
        "ports": [{"protocol": "TCP", "port": 443}, {"protocol": "UDP", "port": 443}],
    }


def test_a_desktop_is_named_after_its_home():
    assert hostname("one", SUBJECT.spec).startswith("work-files-")


@pytest.mark.parametrize("profile", ["restricted", "rdp"])
def test_over_rdp_a_pod_has_no_more_rights_and_one_small_place_more(profile):
    around = {"protocols": ["rdp"], "profile": profile, "image": "desktop-rdp"}
    made = plain_pod(a_recipe(SUBJECT, **around))
    usual = plain_pod(RECIPE)
    (desktop,), (other,) = made["spec"]["containers"], usual["spec"]["containers"]
    assert desktop["securityContext"] == other["securityContext"]
    assert made["spec"]["securityContext"] == usual["spec"]["securityContext"]
    more = [mount for mount in desktop["volumeMounts"] if mount not in other["volumeMounts"]]
    assert more == [{"name": "xrdp", "mountPath": "/run/xrdp"}]
    (room,) = [one for one in made["spec"]["volumes"] if one not in usual["spec"]["volumes"]]
    assert room == {"name": "xrdp", "emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}}
