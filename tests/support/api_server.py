"""A real Kubernetes API server for tests: etcd and kube-apiserver, ready in a few seconds.

There are no nodes. What the API server does by itself is as in production: admission
(Pod Security, policies, quotas), defaults, validation, RBAC, watches, field managers, an
audit log. Beside it run those controllers whose work belongs to the objects' promises:
garbage collection, namespaces, service accounts.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.cache import Cache
from e2e.cluster.kubernetes import KUBERNETES
from tests.support.api_certificates import Authority

ROOT = Path(__file__).resolve().parents[2]
CRDS = ROOT / "crds"

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "daemonset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "validatingadmissionpolicy-status-controller",
)
"""The controllers that run unless others are asked for."""

_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
_ETCD = "etcd:1"
_PATIENCE = 60.0  # seconds for a program to get ready, on a machine that is busy


class ApiServer:
    """etcd, kube-apiserver and some controllers, with all their files in one folder.

    Args:
        folder: an empty folder with a short name (sockets lie in it).
        controllers: the controllers of kube-controller-manager to run; none starts none.
        flags: further flags of kube-apiserver.
    """

    def __init__(
        self,
        folder: Path,
        *,
        controllers: Sequence[str] = CONTROLLERS,
        flags: Sequence[str] = (),
    ) -> None:
        cache = Cache.of_this_user(print)
        if not cache.has(KUBERNETES):
            raise RuntimeError(
                "Kubernetes is not built on this machine. Run `python -m e2e.cluster build"
                " kubernetes` once (five minutes)."
            )
        self.bin = cache.obtain(KUBERNETES)
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        """Its administrator's kubeconfig."""
        self.port = 0
        self._controllers = tuple(controllers)
        self._flags = tuple(flags)
        self._authority = Authority(folder / "pki")
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._reserved: socket.socket | None = None

    @property
    def url(self) -> str:
        """Where it is served, by TLS."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def authority_file(self) -> Path:
        """The PEM file with who vouches for it, as a pod has it in `ca.crt`."""
        return self._authority.certificate

    @property
    def audit_log(self) -> Path:
        """The log of every request, a JSON object a line; `audited` reads it."""
        return self.folder / "audit.log"

    def start(self) -> float:
        """Start all of it and wait until it serves; return how long that took, in seconds."""
        begun = time.monotonic()
        self._authority.make()
        (self.folder / "audit.yaml").write_text(yaml.safe_dump(_AUDIT), encoding="ascii")
        self._start_etcd()
        self.port = self._reserve_port()
        self.kubeconfig.write_bytes(self._kubeconfig("admin", ("system:masters",)))
        self._start_api_server()
        self._wait_for("kube-apiserver", lambda: self._says_ok("/readyz"))
        if self._controllers:
            self._start_controllers()
        if "serviceaccount-controller" in self._controllers:
            self._wait_for("kube-controller-manager", self._has_default_account)
        return time.monotonic() - begun

    def start_beside(self, program: str, *flags: str) -> None:
        """Start one more program of this cluster, by its path or by its name in `bin`.

        It ends with the rest; its log is called as it is.
        """
        self._start(program, *flags)

    def stop(self) -> None:
        """End all of it, the last started first."""
        while self._running:
            name, process = self._running.pop()
            # etcd keeps nothing that anybody needs, and its farewell takes its time.
            process.send_signal(signal.SIGKILL if name == "etcd" else signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        if self._reserved is not None:
            self._reserved.close()

    def kubeconfig_of(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Return a kubeconfig of somebody whom RBAC knows by this name and these groups."""
        made = self.folder / f"kubeconfig-{user.replace(':', '_').replace('/', '_')}"
        made.write_bytes(self._kubeconfig(user, groups))
        return made

    def kubectl(self, *arguments: str, given: str = "", user: Path | None = None) -> str:
        """Run kubectl and return what it printed.

        Args:
            arguments: what stands behind `kubectl`.
            given: its standard input.
            user: a kubeconfig of `kubeconfig_of`; the administrator's if None.

        Raises:
            subprocess.CalledProcessError: it failed; `stderr` says why.
        """
        done = subprocess.run(
            [self.bin / "kubectl", "--kubeconfig", user or self.kubeconfig, *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            # Its cache of what the server offers is this server's own.
            env={**os.environ, "KUBECACHEDIR": str(self.folder / "kubectl-cache")},
        )
        if done.returncode:
            failed = subprocess.CalledProcessError(
                done.returncode, done.args, done.stdout, done.stderr
            )
            failed.add_note(done.stderr)
            raise failed
        return done.stdout

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Apply manifests as the administrator."""
        text = yaml.safe_dump_all(manifests)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=text)

    def apply_crds(self, folder: Path = CRDS) -> None:
        """Apply the project's own kinds, and wait until they are served."""
        paths = [str(path) for path in sorted(folder.glob("*.yaml"))]
        files = [word for path in paths for word in ("-f", path)]
        self.kubectl("apply", "--server-side", *files)
        self.kubectl(
            "wait", "--for=condition=Established", "crd", "--all", f"--timeout={_PATIENCE:.0f}s"
        )

    def audited(self) -> list[dict[str, Any]]:
        """Return every request that was answered so far, as audit events."""
        lines = self.audit_log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def log(self, name: str) -> str:
        """Return what a program said: `etcd`, `kube-apiserver`, `kube-controller-manager`."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def _reserve_port(self) -> int:
        """Return a port that is nobody else's until `stop`; the API server shares it with us."""
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind(("127.0.0.1", 0))
        return int(self._reserved.getsockname()[1])

    def _start_etcd(self) -> None:
        # Sockets in the folder that it runs in; it insists on names that look like host:port.
        clients, peers = f"unix://{_ETCD}", "unix://peers:1"
        self._start(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
        )
        self._wait_for("etcd", (self.folder / _ETCD).exists)

    def _start_api_server(self) -> None:
        pki = self._authority
        self._start(
            "kube-apiserver",
            f"--etcd-servers=unix://{_ETCD}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            "--permit-port-sharing",
            # Its own address is published as a Service's endpoint; a node would need it.
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--tls-cert-file={pki.server_certificate}",
            f"--tls-private-key-file={pki.server_key}",
            f"--client-ca-file={pki.certificate}",
            f"--service-account-key-file={pki.account_public_key}",
            f"--service-account-signing-key-file={pki.account_key}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--audit-policy-file={self.folder / 'audit.yaml'}",
            f"--audit-log-path={self.audit_log}",
            "--profiling=false",
            *self._flags,
        )

    def _start_controllers(self) -> None:
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--controllers={','.join(self._controllers)}",
            f"--service-account-private-key-file={self._authority.account_key}",
            f"--root-ca-file={self._authority.certificate}",
            "--leader-elect=false",
            "--secure-port=0",
        )

    def _start(self, program: str, *flags: str) -> None:
        # Nothing outlives the tests, however they end.
        bound = ["setpriv", "--pdeathsig", "KILL", "--"]
        name = Path(program).name
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*bound, self.bin / program, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for the tests, which end it in order
            )
        self._running.append((name, process))

    def _wait_for(self, program: str, is_ready: Any) -> None:
        deadline = time.monotonic() + _PATIENCE
        process = dict(self._running)[program]
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{program} did not get ready:\n{self.log(program)[-4000:]}")
            time.sleep(0.05)

    def _says_ok(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(
                f"{self.url}{path}", timeout=5, context=self._authority.context()
            ) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _has_default_account(self) -> bool:
        return self._says_ok("/api/v1/namespaces/default/serviceaccounts/default")

    def _kubeconfig(self, user: str, groups: Sequence[str]) -> bytes:
        return self._authority.kubeconfig(self.url, user, groups)


@contextmanager
def running_api_server(folder: Path, **options: Any) -> Iterator[ApiServer]:
    """Run an API server in `folder` (empty, a short name); `options` as `ApiServer` has them."""
    server = ApiServer(folder, **options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def an_api_server(folder: Path, **options: Any) -> AsyncIterator[ApiServer]:
    """Do the same without standing in the way of a loop."""
    server = ApiServer(folder, **options)
    try:
        await asyncio.to_thread(server.start)
        yield server
    finally:
        await asyncio.to_thread(server.stop)
