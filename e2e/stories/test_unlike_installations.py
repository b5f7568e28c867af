"""Porthole on a cluster in the other ways that its chart knows; each begins with nothing there."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from e2e.cluster.installing import CHART
from e2e.support.console import Console, chromium
from e2e.support.installed import RELEASE, SESSIONS, SYSTEM, Installed, a_session
from e2e.support.instance import Instance, Program
from e2e.support.otherwise import (
    ON_A_NODE_PORT,
    Below,
    a_database,
    install,
    namespace,
    reached_by_pods,
    secret,
)
from e2e.support.outside import Desktop
from e2e.support.proxy import Front, Manner
from e2e.support.real_cluster import until
from e2e.support.releases import remove
from e2e.support.typed import Terminal, commands, fenced, in_notes, section
from e2e.support.window import a_window, look_at, screen_of, types
from porthole_client import Porthole
from porthole_operator.certificates import certificate
from tests.support.ports import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400, func_only=True)]

LINK = re.compile(r"http://127\.0\.0\.1:\d+/#\S+")
ROOT = CHART.parents[1]
NO_CONTROL_PLANE = {"controlPlane": {"enabled": False}}


@pytest.fixture
def bare(request: pytest.FixtureRequest, release: Installed) -> Iterator[Installed]:
    """A cluster without anything of Porthole's; whatever a story puts there goes."""
    remove(release)
    failed = request.session.testsfailed
    try:
        yield release
        if request.session.testsfailed > failed:
            print(release.logs())
    finally:
        remove(release)


def ready(bare: Installed, *programs: str) -> None:
    for name in programs:
        words = ("rollout", "status", f"deployment/porthole-{name}", "--timeout=90s")
        bare.cluster.kubectl("-n", SYSTEM, *words)


async def test_below_a_path_with_a_database_of_ones_own(bare: Installed, tmp_path: Path) -> None:
    """A controller leads on what is below a path, and everything else somewhere else."""
    cluster = bare.cluster
    with a_database(cluster) as database, Front.open("/desks", bare.port, tmp_path) as front:
        install(
            bare,
            publicUrl=front.url,
            ingress={"enabled": True, "className": "none"},
            service=ON_A_NODE_PORT,
            database=database,
        )
        front.trust(bare.secret("porthole-tls")["ca.crt"], f"porthole.{SYSTEM}.svc")
        below = Below(cluster, front)
        below.until_linked()
        assert cluster.get("statefulsets", "-n", SYSTEM) == []
        (rule,) = cluster.get("ingress", "porthole", "-n", SYSTEM)["spec"]["rules"]
        assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("localhost", "/desks")
        async with a_window(below, "below") as me, below.async_client() as porthole:
            await me.shoot("1-signed-in")
            made = await porthole.sessions.create("desktop", name="below")
            await porthole.sessions.wait_ready(made.id, timeout=90)
            row = me.page.locator(f"[data-testid=session-row][data-session='{made.id}']")
            await row.wait_for()
            await look_at(me, below, made.id, within=15)
            desktop, screen = below.desktop("below"), screen_of(below.desktop("below"), tmp_path)
            await types(me, desktop, "typed below a path")
            await me.equals(screen)
            await me.shoot("2-typed")
            await _has_one_cookie(me)
            await asyncio.to_thread(_programs_reach, below, "below", tmp_path)

            front.manner = Manner("/desks", strips=True, forwards=True)
            await me.page.reload()
            await me.until_state("open", within=15)
            await types(me, desktop, "typed past a path that went")
            await me.equals(screen)
            await asyncio.to_thread(_programs_reach, below, "below", tmp_path)
            await me.page.goto(f"{below.url}/#/")
            await row.wait_for()
            await porthole.sessions.delete(made.id)
            await row.wait_for(state="detached")
            await porthole.sessions.wait_gone(made.id, timeout=60)
        assert front.strays == []


async def _has_one_cookie(me: Console) -> None:
    """It is held to this host and to TLS, which browsers take at the root only."""
    (cookie,) = await me.page.context.cookies()
    assert cookie["name"] == f"__Host-porthole-{SYSTEM}"
    assert (cookie["path"], cookie["sameSite"]) == ("/", "Strict")
    assert (cookie["secure"], cookie["httpOnly"]) == (True, True)


def _programs_reach(below: Below, session: str, folder: Path) -> None:
    """The command line, and the client with both of its connections."""
    token = folder / "token"
    token.write_bytes(below.secret("porthole-administrator")["token"])
    trusting = {"PORTHOLE_FINGERPRINT": below.fingerprint}
    for words, said in (
        (("session", "list"), rf"(?m)^{session} .*Running"),
        (("session", "open", session, "--print"), rf"{below.url}/#/sign-in\?token=\S+"),
        (("agent", "list"), r"(?m)^cluster .*kubernetes"),
    ):
        where = ("--server", below.url, "--token-file", str(token))
        program = Program(*words, *where, environment=trusting)
        assert program.wait(30) == 0, program.said
        assert re.search(said, program.said), program.said
    with below.client() as porthole:
        (found,) = porthole.sessions.list()
        with porthole.sessions.connect(found.id) as stream:
            assert bytes(stream.recv(timeout=20)).startswith(b"RFB 003.008")


async def test_an_agent_alone_beside_the_one_of_the_machine(
    bare: Installed, home: Path, tmp_path: Path
) -> None:
    """The control plane is elsewhere, at a certificate that an authority vouches for."""
    cluster = bare.cluster
    with reached_by_pods() as address:
        files = certificate("Desks", [address, "127.0.0.1"])
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        given = {
            "PORTHOLE_TLS_CERTIFICATE": str(tmp_path / "tls.crt"),
            "PORTHOLE_TLS_KEY": str(tmp_path / "tls.key"),
        }
        async with _elsewhere(Instance(home, listen=address), given) as desks:
            with Porthole(server=desks.url, token=desks.admin_token()) as porthole:
                (machine,) = porthole.agents.list()
                joining = porthole.agents.join_token("cluster")
                assert joining.url == f"https://{address}:{desks.port}"
                namespace(cluster, SYSTEM)
                secret(cluster, SYSTEM, "join", {"token": joining.token.encode()})
                secret(cluster, SYSTEM, "desks", {"ca.crt": files["ca.crt"]})
                where = {"url": joining.url, "joinTokenSecret": "join", "authoritySecret": "desks"}
                install(bare, **NO_CONTROL_PLANE, agent=where)
                ready(bare, "agent", "operator")

                def linked() -> set[tuple[str, str | None, bool]]:
                    return {(one.name, one.runtime, one.linked) for one in porthole.agents.list()}

                both = {(machine.name, "local", True), ("cluster", "kubernetes", True)}
                until(lambda: linked() == both, lambda: f"both agents are linked: {linked()}")
                await _both_are_used(bare, desks, porthole, machine.name, tmp_path)
                _a_new_replica_joins_by_the_same_token(bare)
                until(lambda: linked() == both, lambda: f"linked again: {linked()}")
            bare.helm("uninstall", RELEASE, "--wait", "--timeout=2m")


@asynccontextmanager
async def _elsewhere(desks: Instance, environment: dict[str, str]) -> AsyncIterator[Instance]:
    try:
        await asyncio.to_thread(desks.start, environment)
        yield desks
    except BaseException:
        print(desks.logs())
        raise
    finally:
        code = await asyncio.to_thread(desks.stop)
    assert code == 0


async def _both_are_used(
    bare: Installed, desks: Instance, porthole: Porthole, machine: str, folder: Path
) -> None:
    """Each session is where somebody wanted it, and nowhere else; so is one that kubectl made."""
    bare.cluster.apply(a_session("by-kubectl"))
    made = {
        name: porthole.sessions.create("desktop", name=name, agent=agent)
        for name, agent in (("here", machine), ("there", "cluster"))
    }
    for one in made.values():
        porthole.sessions.wait_ready(one.id, timeout=120)
    bare.cluster.wait("session/by-kubectl", "condition=Ready", "-n", SESSIONS)

    def places() -> dict[str, str | None]:
        return {one.name: one.agent for one in porthole.sessions.list()}

    wanted = {"here": machine, "there": "cluster", "by-kubectl": "cluster"}
    until(lambda: places() == wanted, lambda: f"each is at its place: {places()}")
    named = {one["metadata"]["name"] for one in bare.cluster.get("pods", "-n", SESSIONS)}
    assert named == {"there", "by-kubectl"}
    desktops = {"here": Desktop.of(str(made["here"].id)), "there": bare.desktop("there")}
    async with chromium() as browser:
        me = await Console.open(browser, "beside")
        async with me.shot_if_it_fails():
            await me.sign_in(desks.link)
            for name, desktop in desktops.items():
                await me.page.goto(f"{desks.url}/#/sessions/{made[name].id}")
                await me.page.get_by_test_id("viewer-canvas").wait_for(state="attached")
                await me.until_state("open", within=15)
                await types(me, desktop, f"typed {name}")
                await me.equals(screen_of(desktop, folder))
                await me.shoot(name)
            assert me.failures == []
    bare.cluster.kubectl("delete", "session", "by-kubectl", "-n", SESSIONS, "--timeout=60s")
    for one in made.values():
        porthole.sessions.delete(one.id)
    for one in made.values():
        porthole.sessions.wait_gone(one.id, timeout=60)
    until(lambda: places() == {}, lambda: f"all have ended: {places()}")


def _a_new_replica_joins_by_the_same_token(bare: Installed) -> None:
    bare.cluster.kubectl("-n", SYSTEM, "rollout", "restart", "deployment/porthole-agent")
    ready(bare, "agent")


def test_the_operator_alone(bare: Installed) -> None:
    """Sessions are kubectl's, and nothing but what they need is there."""
    cluster = bare.cluster
    install(bare, **NO_CONTROL_PLANE, agent={"enabled": False})
    ready(bare, "operator")
    (only,) = cluster.get("deployments", "-n", SYSTEM)
    assert only["metadata"]["name"] == "porthole-operator"
    before = bare.things()
    cluster.apply(a_session("alone"))
    cluster.wait("session/alone", "condition=Ready", "-n", SESSIONS)
    cluster.kubectl("delete", "session", "alone", "-n", SESSIONS, "--timeout=60s")
    until(lambda: bare.things() == before, lambda: f"nothing is left: {bare.things()}")


async def test_what_the_pages_say_to_type_works(bare: Installed, tmp_path: Path) -> None:
    """Word for word: README, and the notes that helm prints then."""
    cluster = bare.cluster
    for name in (".venv", "helm"):
        (tmp_path / name).symlink_to(ROOT / name)
    page = section((ROOT / "README.md").read_text(encoding="utf-8"), "On Kubernetes")
    _make_one, put_there, use, see, end = commands(page)
    (manifest,) = fenced(page, "yaml")
    (tmp_path / "mine.yaml").write_text(manifest, encoding="utf-8")
    # kind takes this for the name of the cluster that is meant.
    terminal = Terminal(tmp_path, {**cluster.environment, "KIND_CLUSTER_NAME": cluster.name})
    forward, token, by_kubectl = in_notes(await asyncio.to_thread(terminal.type, put_there))
    context = cluster.kubectl("config", "current-context").strip()

    assert " Running " in terminal.type(use).splitlines()[-1]
    async with chromium() as browser:
        await _is_seen(terminal, see.replace("CONTEXT", context), browser, "readme")
        terminal.type(end)
        await _is_seen(terminal, by_kubectl, browser, "notes")
        ready(bare, "control-plane")
        here = _port_of(forward)
        with _left_running(terminal, forward.replace("8443:", f"{here}:")) as forwarding:
            forwarding.until_said(re.compile("Forwarding from"))
            me = await Console.open(browser, "notes-console", ignore_https_errors=True)
            async with me.shot_if_it_fails():
                await me.page.goto(f"https://127.0.0.1:{here}")
                await me.page.get_by_label("Token").fill(terminal.type(token))
                await me.page.get_by_role("button", name="Sign in").click()
                row = me.page.get_by_test_id("session-row").filter(has_text="first")
                await row.get_by_role("link", name="first").first.click()
                await me.until_state("open", within=30)
                await types(me, bare.desktop("first"), "typed where the notes led")
                await me.shoot("typed")


async def _is_seen(terminal: Terminal, lines: str, browser, prefix: str) -> None:
    """Type what ends in `porthole open`, and look where its link leads."""
    with _left_running(terminal, lines) as opening:
        link = await asyncio.to_thread(opening.until_said, LINK)
        me = await Console.open(browser, prefix)
        async with me.shot_if_it_fails():
            await me.page.goto(link)
            await me.until_state("open", within=30)
            await me.shoot("open")


@contextlib.contextmanager
def _left_running(terminal: Terminal, lines: str) -> Iterator[Program]:
    running = terminal.leave_running(lines)
    try:
        yield running
    finally:
        running.interrupt()


def _port_of(forward: str) -> int:
    """Return the port that the notes lead to the console, or another if that one is taken."""
    assert " 8443:443" in forward
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", 8443))
            return 8443
    return free_port()
