"""Each image, run here as a pod runs it: read-only, without a capability, as its own user."""

import json
import os
from pathlib import Path

import pytest
import yaml

from porthole_agent.runtimes.local.oci import bind, scratch
from porthole_contract.template import SessionTemplate
from porthole_images.recipe import TEMPLATES
from tests.support.gate_setup import GateIdentity
from tests.support.image_runner import MIB, SHARED, healthy, wait_until

TERMINAL = {"name": "Terminal", "command": ["xterm"], "autostart": True}
PROGRAMS = {
    "desktop-vnc": [TERMINAL],
    "desktop-rdp": [TERMINAL],
    "desktop-browser": [
        {
            "name": "Chromium",
            "command": [
                *("chromium", "--no-sandbox", "--no-first-run", "--disable-gpu"),
                *("--password-store=basic", "about:blank"),
            ],
            "autostart": True,
        }
    ],
}


@pytest.mark.parametrize(
    ("name", "speaks"),
    [
        ("desktop-vnc", ["vnc"]),
        ("desktop-browser", ["vnc"]),
        ("desktop-rdp", ["rdp"]),
        ("desktop-rdp", ["vnc", "rdp"]),
    ],
)
def test_a_desktop_is_drawn_behind_its_gate(
    name: str, speaks: list[str], rooted, runner, tmp_path: Path
):
    """Both containers of a session, from their images, share a folder of sockets and no more."""
    desktop, desktop_root = rooted(name)
    gate, gate_root = rooted("porthole-gate")
    shared, told, home = tmp_path / "shared", tmp_path / "told", tmp_path / "home"
    for folder, mode, uid, gid in (
        (shared, 0o2770, 0, SHARED),
        (told, 0o755, 0, 0),
        (home, 0o750, 1000, 1000),
    ):
        folder.mkdir()
        os.chown(folder, uid, gid)
        folder.chmod(mode)
    tmp_path.chmod(0o755)
    config = {
        "version": 1,
        "programs": PROGRAMS[name],
        "protocols": speaks,
        "gate_uid": SHARED,
        "stop_seconds": 3,
    }
    (told / "config.json").write_text(json.dumps(config))
    identity = GateIdentity.make(tmp_path / "gate")
    health = tmp_path / "health"
    health.mkdir()
    os.chown(health, SHARED, SHARED)
    place = "/run/gate-config"
    settings = identity.config(
        Path("/run/porthole"),
        desktop_uid=1000,
        certificate=f"{place}/cert.pem",
        key=f"{place}/key.pem",
        listen="tcp:0.0.0.0:7443",
        health="unix:/run/gate/health.sock",
        screens=speaks,
    )
    (tmp_path / "gate" / "config.json").write_text(json.dumps(settings))
    for path in (tmp_path / "gate").iterdir():
        path.chmod(0o644)

    began = runner.start(
        desktop,
        desktop_root,
        groups=(SHARED,),
        mounts=(
            bind(str(told), "/run/porthole-config", execute=False),
            bind(str(shared), "/run/porthole", write=True, execute=False),
            bind(str(home), "/home/user", write=True),
            scratch("/run/xrdp", MIB, "0700", uid=1000, gid=1000),
        ),
    )
    beside = runner.start(
        gate,
        gate_root,
        mounts=(
            bind(str(tmp_path / "gate"), place, execute=False),
            bind(str(shared), "/run/porthole", execute=False),
            bind(str(health), "/run/gate", write=True, execute=False),
        ),
    )
    wait_until(
        lambda: healthy(health / "health.sock"),
        90,
        lambda: f"desktop:\n{began.said()}\ngate:\n{beside.said()}",
    )
    assert set(_processes_of(began.process.pid)) == {(1000, "0000000000000000")}
    assert beside.stop() == 0
    assert began.stop() == 0


def _processes_of(runc: int) -> list[tuple[int, str]]:
    """Return uid and effective capabilities of everything that a runc has started."""
    found, look = [], [runc]
    while look:
        pid = look.pop()
        for task in Path(f"/proc/{pid}/task").iterdir():
            look += [int(one) for one in (task / "children").read_text().split()]
        if pid != runc:
            status = dict(
                line.split(":\t", 1)
                for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                if ":\t" in line
            )
            found.append((int(status["Uid"].split()[0]), status["CapEff"].strip()))
    return found


def test_the_gate_imports_all_it_needs_and_has_nothing_of_others(rooted, runner):
    image, root = rooted("porthole-gate")
    modules = (
        "import importlib, pkgutil, porthole_desktop.gate as gate, porthole_contract as contract\n"
        "for package in (gate, contract):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not found.name.endswith('__main__') and '.testing' not in found.name:\n"
        "            importlib.import_module(found.name)\n"
        "print('all there')\n"
    )
    status, said = runner.run(image, root, "python", "-I", "-B", "-c", modules)
    assert (status, said.strip()) == (0, "all there")
    ours = {path.name for path in root.glob("opt/porthole/lib/*/site-packages/porthole*")}
    assert ours == {
        "porthole_contract",
        "porthole_desktop",
        next(n for n in ours if "dist-info" in n),
    }
    others = [path for path in root.rglob("*") if "porthole_control" in path.name]
    assert others == []


@pytest.mark.parametrize(
    "command",
    [
        ("porthole", "--version"),
        ("porthole", "session", "--help"),
        ("python", "-m", "porthole_control", "--help"),
        ("python", "-m", "porthole_control.db.embedded", "--help"),
        ("python", "-c", "import porthole_agent.__main__, porthole_operator, kopf, kubernetes.aio"),
        (
            "python",
            "-c",
            "import porthole_control.app as app; assert (app.CONSOLE / 'index.html').exists()",
        ),
    ],
    ids=" ".join,
)
def test_every_program_is_in_the_image_of_programs(command: tuple[str, ...], rooted, runner):
    image, root = rooted("porthole")
    status, said = runner.run(image, root, *command)
    assert status == 0, said


def test_a_database_can_be_run_from_the_image_of_programs(rooted, runner):
    image, root = rooted("porthole")
    home = scratch("/var/lib/porthole", 512 * MIB, "0770", uid=10000, gid=10000)
    started = runner.start(
        image,
        root,
        args=("python", "-m", "porthole_control.db.embedded", "--home", "/var/lib/porthole"),
        mounts=(home,),
    )
    wait_until(lambda: "ready: PostgreSQL" in started.said(), 60, started.said)
    assert started.stop(30) == 0


def test_templates_find_their_programs_in_their_images(rooted):
    for template, name in (
        ("desktop", "desktop-vnc"),
        ("browser", "desktop-browser"),
        ("rdp", "desktop-rdp"),
        ("dual", "desktop-rdp"),
    ):
        _, root = rooted(name)
        manifest = yaml.safe_load((TEMPLATES / f"{template}.yaml").read_text())
        for program in SessionTemplate.from_manifest(manifest).spec.programs:
            where = [
                root / folder / program.command[0] for folder in ("usr/bin", "bin", "usr/games")
            ]
            assert any(path.exists() or path.is_symlink() for path in where), program.command[0]
