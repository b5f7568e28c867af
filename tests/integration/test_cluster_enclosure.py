"""An enclosure's programs reach out, are reached, and are gone without a trace."""

import fcntl
import os
import shutil
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.enclosure import ADDRESS, Enclosure
from porthole_client.cli.exits import Failure
from tests.support.ports import free_port

CGROUP = f"porthole-cluster-test-{os.getpid()}"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("slirp4netns") is None, reason="needs root and slirp4netns"
)


@pytest.fixture
def enclosure() -> Iterator[Enclosure]:
    # Sockets lie in it: its name must be short.
    folder = Path(tempfile.mkdtemp(prefix="porthole-"))
    made = Enclosure(folder, CGROUP)
    yield made
    made.end()
    assert not folder.exists()


def links() -> list[str]:
    return sorted(path.name for path in Path("/sys/class/net").iterdir())


def begin(enclosure: Enclosure, script: str) -> None:
    enclosure.begin(["setsid", "-w"], [sys.executable, "-c", script], os.environ)


def fetched(url: str) -> bytes:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                content: bytes = answer.read()
                return content
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_published_port_leads_in_and_the_network_is_its_own(enclosure: Enclosure) -> None:
    before, port = links(), free_port()
    serve = f"""
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(" ".join(sorted(os.listdir("/sys/class/net"))).encode())
http.server.HTTPServer(("{ADDRESS}", {port}), Answer).serve_forever()
"""
    begin(enclosure, serve)
    enclosure.publish(port)
    fetched(f"http://127.0.0.1:{port}/")
    assert links() == before
    with pytest.raises(Failure, match=f"Port {port} of 127.0.0.1 cannot be led"):
        enclosure.publish(port)
    enclosure.end()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_all_that_runs_in_it_ends_with_it(enclosure: Enclosure) -> None:
    group = Path(
        "/sys/fs/cgroup/pids" if Path("/sys/fs/cgroup/pids").is_dir() else "/sys/fs/cgroup"
    )
    inside = group / CGROUP / "deep"
    told = enclosure.folder / "told"
    # A daemon that ignores whoever asks it to end, in a control group of its own.
    begin(
        enclosure,
        f"""
import os, signal, time
os.makedirs("{inside}", exist_ok=True)
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open("{inside}/cgroup.procs", "w") as procs: procs.write("0")
    with open("{told}.half", "w") as file: file.write(os.readlink("/proc/self/ns/pid"))
    os.rename("{told}.half", "{told}")
time.sleep(3600)
""",
    )
    deadline = time.monotonic() + 30
    while not told.exists():
        assert time.monotonic() < deadline, enclosure.log("inside")
        time.sleep(0.05)
    assert enclosure.is_alive()
    namespace = told.read_text()
    enclosure.end()
    assert not enclosure.is_alive()
    assert not inside.parent.exists()
    assert namespace not in set(_process_namespaces())


def _process_namespaces() -> Iterator[str]:
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                yield str((process / "ns/pid").readlink())
            except OSError:
                continue


def test_a_lock_of_who_began_it_is_not_kept_by_it(enclosure: Enclosure, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        fcntl.flock(held, fcntl.LOCK_EX)
        begin(enclosure, "import time; time.sleep(3600)")
    with (tmp_path / "lock").open("w") as again:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_ends_by_itself_is_noticed_and_tidied_up(enclosure: Enclosure) -> None:
    begin(enclosure, "")
    deadline = time.monotonic() + 30
    while enclosure.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.05)
