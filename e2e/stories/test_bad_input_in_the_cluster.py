"""What cannot be is said in a sentence, touches nothing, and is well again once it is corrected."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from e2e.support.installed import SESSIONS, Installed, a_session, a_template
from e2e.support.real_cluster import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]


@contextmanager
def there(installed: Installed, *manifests: dict[str, Any]) -> Iterator[None]:
    """Have these objects; they are gone afterwards."""
    installed.cluster.apply(*manifests)
    yield
    content = yaml.safe_dump_all(manifests)
    words = ("--ignore-not-found", "--timeout=60s")
    installed.cluster.kubectl("delete", "-f", "-", *words, given=content)


def until_told(installed: Installed, name: str, reason: str) -> str:
    """Wait until a Session waits for this reason, and return its sentence."""
    status: dict[str, Any] = {}

    def look() -> bool:
        nonlocal status
        found = installed.cluster.get("session", name, "-n", SESSIONS)
        status = found.get("status", {})
        return status.get("reason") == reason

    until(look, lambda: f"{name} is not {reason} but {status}", 60)
    assert status["phase"] == "Pending"
    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    line = installed.cluster.kubectl("get", "session", name, "-n", SESSIONS, "--no-headers")
    assert reason in line, "kubectl get says why"
    return str(status["message"])


def ready(installed: Installed, name: str) -> None:
    installed.cluster.wait(f"session/{name}", "condition=Ready", "-n", SESSIONS)


def test_an_image_that_does_not_exist_is_told_and_may_be_corrected(installed: Installed):
    wrong = a_template("wrong", image="localhost:1/nobody/nothing:1")
    with there(installed, wrong, a_session("of-wrong", template="wrong")):
        said = until_told(installed, "of-wrong", "ImageUnavailable")
        assert said.startswith("The image localhost:1/nobody/nothing:1 cannot be pulled: ")
        installed.cluster.apply(a_template("wrong", image="desktop-vnc"))
        ready(installed, "of-wrong")


def test_absurd_sizes_are_told_and_may_be_corrected(installed: Installed):
    huge = {"requests": {"cpu": "5000"}, "limits": {"cpu": "5000", "memory": "3Ei"}}
    with there(installed, a_session("huge", resources=huge)):
        said = until_told(installed, "huge", "Unschedulable")
        assert said.startswith("No node takes it now: 0/2 nodes are available")
        less = {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "1Gi"}}
        installed.cluster.apply(a_session("huge", resources=less))
        ready(installed, "huge")
    for wrong in ("-1", "many", "1e400"):
        words = a_session("wrong", resources={"limits": {"memory": wrong}})
        said = installed.cluster.refused("apply", "-f", "-", given=yaml.safe_dump(words))
        assert "spec.resources.limits.memory" in said


def test_a_name_of_52_characters_is_as_good_as_any_and_none_is_longer(installed: Installed):
    longest = "a" * 52
    with there(installed, a_session(longest)):
        for length in (53, 253):
            name = ("a" * 60 + ".") * 4 + "b" * 9 if length == 253 else "a" * length
            given = yaml.safe_dump(a_session(name))
            said = installed.cluster.refused("apply", "-f", "-", given=given)
            assert "metadata.name: must be at most 52 characters long" in said, said
        ready(installed, longest)


def test_a_hand_made_pod_with_our_labels_is_refused(installed: Installed):
    with there(installed, a_session("real")):
        ready(installed, "real")
        before = installed.pod("real")["metadata"]["uid"]
        copied = installed.pod("real")
        kept = {"labels": copied["metadata"]["labels"], "namespace": SESSIONS}
        forged = {**copied, "metadata": {"name": "forged", **kept}}
        forged.pop("status")
        said = installed.cluster.refused("create", "-f", "-", given=yaml.safe_dump(forged))
        assert "metadata.labels: those below porthole.dev/ are written by Porthole alone." in said
        assert installed.pod("real")["metadata"]["uid"] == before


def test_a_secret_of_its_name_that_is_not_ours_is_left_alone(installed: Installed):
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "taken", "namespace": SESSIONS},
        "stringData": {"mine": "all mine"},
    }
    with there(installed, secret, a_session("taken")):
        before = installed.cluster.get("secret", "taken", "-n", SESSIONS)
        said = until_told(installed, "taken", "ForeignObject")
        assert said.startswith("The Secret taken has its name and was not made for it")
        assert installed.cluster.get("secret", "taken", "-n", SESSIONS) == before
        installed.cluster.kubectl("delete", "secret", "taken", "-n", SESSIONS)
        ready(installed, "taken")
