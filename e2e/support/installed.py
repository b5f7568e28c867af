"""Porthole on a cluster, as `porthole cluster up` has put it there."""

import base64
import contextlib
import hashlib
import ssl
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import yaml

from e2e.cluster.installing import CHART, CONSOLE, SESSIONS, SYSTEM
from e2e.cluster.record import Up
from e2e.support.outside import Desktop
from e2e.support.real_cluster import RealCluster, until
from e2e.support.viewers import api
from porthole_client import AsyncPorthole, Porthole

RELEASE = "porthole"
PROGRAMS = ("control-plane", "agent", "operator")
SECRETS = ("porthole-administrator", "porthole-agent", "porthole-database", "porthole-tls")
OURS = (
    *("sessions.porthole.dev", "sessiontickets.porthole.dev", "sessiontemplates.porthole.dev"),
    *("pods", "services", "secrets", "configmaps", "persistentvolumeclaims"),
    *("networkpolicies", "controllerrevisions"),
)
"""What a story may leave in a namespace of sessions, and must not."""


class Installed:
    """The release on a cluster.

    Args:
        cluster: where it is.
    """

    def __init__(self, cluster: RealCluster) -> None:
        self.cluster = cluster

    @property
    def port(self) -> int:
        """The port of 127.0.0.1 that leads to the console."""
        found = Up.read(self.cluster.place)
        assert found is not None
        return next(here for here, inside in found.wanted.ports.items() if inside == CONSOLE)

    @property
    def url(self) -> str:
        """Where the console is."""
        return f"https://127.0.0.1:{self.port}"

    def upgrade(self, **values: Any) -> None:
        """Upgrade it, with other values besides those that it has."""
        given = self.cluster.place.folder / "more-values.yaml"
        given.write_text(yaml.safe_dump(values), encoding="utf-8")
        words = (RELEASE, str(CHART), "--reuse-values", "--values", str(given))
        self.helm("upgrade", *words, "--wait", "--timeout=4m")

    def helm(self, verb: str, *words: str) -> str:
        """Run helm in the release's namespace."""
        return self.cluster.run("helm", verb, *words, "--namespace", SYSTEM, patience=300)

    def secret(self, name: str) -> dict[str, bytes]:
        """Return the entries of a Secret of the release."""
        entries = self.cluster.get("secret", name, "-n", SYSTEM)["data"]
        return {key: base64.b64decode(value) for key, value in entries.items()}

    def secrets(self) -> dict[str, dict[str, bytes]]:
        """Return every Secret that an upgrade has to keep."""
        return {name: self.secret(name) for name in SECRETS}

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate that it shows."""
        pem = self.secret("porthole-tls")["tls.crt"].decode("ascii")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

    @contextlib.contextmanager
    def client(self, token: str = "") -> Iterator[Porthole]:
        """Yield a client: the administrator's, or of whose token it is."""
        token = token or self.secret("porthole-administrator")["token"].decode("ascii")
        with Porthole(server=self.url, token=token, fingerprint=self.fingerprint) as client:
            yield client

    def async_client(self, token: str = "") -> AsyncPorthole:
        """Return the same for a story in a loop."""
        token = token or self.secret("porthole-administrator")["token"].decode("ascii")
        return AsyncPorthole(server=self.url, token=token, fingerprint=self.fingerprint)

    @property
    def trust(self) -> ssl.SSLContext:
        """What trusts its certificate, and no other."""
        shown = self.secret("porthole-tls")["tls.crt"].decode("ascii")
        trust = ssl.create_default_context(cadata=shown)
        trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        trust.check_hostname = False
        return trust

    def api(self) -> httpx.AsyncClient:
        """Return the administrator's client of the plain API."""
        token = self.secret("porthole-administrator")["token"].decode("ascii")
        return api(self.url, token, self.trust)

    @property
    def pause(self) -> str:
        """The image that the nodes have for doing nothing."""
        (node, *_) = self.cluster.get("nodes")
        names = [name for image in node["status"]["images"] for name in image.get("names") or ()]
        return next(name for name in names if "/pause:" in name)

    def pod(self, session: str) -> dict[str, Any]:
        """Return the pod of a session, by the session's name."""
        found: dict[str, Any] = self.cluster.get("pod", session, "-n", SESSIONS)
        return found

    def desktop(self, session: str) -> Desktop:
        """Return the desktop of a session, by the session's name, as the machine sees it."""
        return Desktop.in_pod(self.pod(session)["metadata"]["uid"])

    def is_there(self) -> bool:
        """Whether it is installed."""
        words = ("secrets", "-n", SYSTEM, "-l", "owner=helm,status=deployed", "-o", "name")
        return self.cluster.kubectl("get", *words) != ""

    def is_linked(self) -> bool:
        """Whether the control plane has its agent."""
        with self.client() as porthole:
            return [agent.linked for agent in porthole.agents.list()] == [True]

    def ensure(self) -> None:
        """See to it that it is installed, all there, and linked."""
        if not self.is_there():
            self.cluster.up()
        self.until_linked()

    def until_linked(self) -> None:
        """Wait until it is all there and the agent is linked."""
        until(self._is_rolled_out, "every program has all of its replicas", 90)
        until(self.is_linked, "the agent is linked")

    def _is_rolled_out(self) -> bool:
        """Whether all is so that `kubectl rollout status` waits for, asked once for all."""
        shown = self.cluster.get("-n", SYSTEM, *(f"deployment/porthole-{one}" for one in PROGRAMS))
        return all(_is_rolled_out(one["metadata"], one["spec"], one["status"]) for one in shown)

    def things(self) -> Counter[str]:
        """Return the names of all that stories could leave where sessions are."""
        words = ("get", ",".join(OURS), "-n", SESSIONS, "-o", "name")
        return Counter(self.cluster.kubectl(*words).split())

    def clean_up(self) -> None:
        """Delete what a story that failed has left."""
        words = ("delete", "sessions,sessiontickets", "--all", "-n", SESSIONS, "--timeout=60s")
        self.cluster.attempt("kubectl", *words)

    def logs(self) -> str:
        """Return what there is, and what each program said last."""
        by_label = ("-n", SYSTEM, "logs", "-l")
        asked = (
            ("get", "pods,jobs,sessions,events", "-A", "-o", "wide"),
            # By label: of a deployment, the log of one replica alone would be shown.
            *(
                (*by_label, f"app.kubernetes.io/name=porthole-{name}", "--tail=60", "--prefix")
                for name in PROGRAMS
            ),
            ("-n", SYSTEM, "logs", "statefulset/porthole-database", "--tail=20"),
            ("-n", SYSTEM, "logs", "job/porthole-keys", "--tail=20"),
        )
        shown = []
        for one in asked:
            done = self.cluster.attempt("kubectl", *one)
            shown.append(f"$ kubectl {' '.join(one)}\n{done.stdout}{done.stderr}")
        return "\n".join(shown)


def _is_rolled_out(metadata: Any, spec: Any, status: Any) -> bool:
    wanted, updated = spec["replicas"], status.get("updatedReplicas", 0)
    return (
        status.get("observedGeneration") == metadata["generation"]
        and status.get("replicas", 0) == updated == wanted
        and status.get("availableReplicas", 0) == wanted
    )


def a_session(name: str, **spec: Any) -> dict[str, Any]:
    """Return a Session as somebody writes it for kubectl."""
    return {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "Session",
        "metadata": {"name": name, "namespace": SESSIONS},
        "spec": {"owner": "admin", "template": "desktop", **spec},
    }


def a_template(name: str, **spec: Any) -> dict[str, Any]:
    """Return a SessionTemplate."""
    return {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "SessionTemplate",
        "metadata": {"name": name, "namespace": SESSIONS},
        "spec": {"title": name.capitalize(), **spec},
    }
