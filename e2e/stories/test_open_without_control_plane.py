"""Somebody with a kubeconfig and nothing else looks at their desktop: `porthole open`.

Ada has the rights that decision 0605 names, and no account of any control plane. Eve has those
to ask and to forward, and no session.
"""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from e2e.support.console import Console, chromium, until_holds
from e2e.support.installed import SESSIONS, Installed, a_session
from e2e.support.instance import Program
from e2e.support.outside import Desktop
from e2e.support.real_cluster import RealCluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300, func_only=True)]

Screen = Callable[[], Image.Image]
LINK = re.compile(r"http://127\.0\.0\.1:\d+/#\S+")
NAME = "alone"
RIGHTS = [
    {"apiGroups": ["porthole.dev"], "resources": ["sessions"], "verbs": ["get"]},
    {
        "apiGroups": ["porthole.dev"],
        "resources": ["sessiontickets"],
        "verbs": ["create", "get", "delete"],
    },
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
]


def a_person(name: str, *, may_forward: bool = True) -> list[dict[str, Any]]:
    """Somebody whom the cluster knows, with the rights to open what is theirs."""
    api = "rbac.authorization.k8s.io/v1"
    head = {"name": name, "namespace": SESSIONS}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", **head}
    rules = RIGHTS if may_forward else RIGHTS[:2]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": head},
        {"apiVersion": api, "kind": "Role", "metadata": head, "rules": rules},
        {
            "apiVersion": api,
            "kind": "RoleBinding",
            "metadata": head,
            "roleRef": ref,
            "subjects": [subject],
        },
    ]


def kubeconfig_of(cluster: RealCluster, name: str, folder: Path) -> Path:
    """Return a kubeconfig with one context, `desktops`, of that person."""
    shown = yaml.safe_load(cluster.kubectl("config", "view", "--raw", "--minify", "-o", "yaml"))
    token = cluster.kubectl("-n", SESSIONS, "create", "token", name).strip()
    shown["users"] = [{"name": name, "user": {"token": token}}]
    cluster_name = shown["clusters"][0]["name"]
    shown["contexts"] = [{"name": "desktops", "context": {"cluster": cluster_name, "user": name}}]
    shown["current-context"] = "desktops"
    file = folder / f"{name}.kubeconfig"
    file.write_text(yaml.safe_dump(shown))
    return file


async def ended(*words: str | Path) -> tuple[int, str]:
    """Run the command to its end; return its code and its last line."""
    program = Program("open", "--no-browser", *(str(word) for word in words))
    code = await asyncio.to_thread(program.wait, 60)
    return code, program.lines[-1]


async def test_a_desktop_is_seen_and_used_with_a_kubeconfig_alone(
    installed: Installed, tmp_path: Path
) -> None:
    cluster = installed.cluster
    people = [*a_person("ada"), *a_person("eve"), *a_person("bob", may_forward=False)]
    cluster.apply(*people)
    ada = ("--kubeconfig", str(kubeconfig_of(cluster, "ada", tmp_path)), "--context", "desktops")
    programs: list[Program] = []

    async def opened(*words: str) -> str:
        programs.append(Program("open", f"session/{NAME}", *ada, "--no-browser", *words))
        return await asyncio.to_thread(programs[-1].until_said, LINK)

    try:
        async with chromium() as browser:
            cluster.apply(a_session(NAME, owner=f"system:serviceaccount:{SESSIONS}:ada"))
            link = await opened()
            desktop = installed.desktop(NAME)
            screen = partial(desktop.screen, tmp_path / "screen.png")
            me, other = [await Console.open(browser, name) for name in ("open", "open-other")]
            async with me.shot_if_it_fails(), other.shot_if_it_fails():
                await _uses_it(me, link, desktop, screen)
                await _is_good_once(other, link)
                await _watches(other, await opened("--view"), me, desktop, screen)
                await _others_are_told_why(cluster, tmp_path)
                cluster.kubectl("delete", "session", NAME, "-n", SESSIONS)
                await me.page.get_by_text(f"{NAME} has ended").wait_for(timeout=60_000)
                await me.shoot("3-ended")
            assert me.failures + other.failures == []
        assert await asyncio.to_thread(programs[0].interrupt) == 0, programs[0].said
        assert programs[0].said.count(link.rpartition("#")[2]) == 1
    finally:
        for program in programs:
            program.interrupt()
        cluster.kubectl("delete", "-f", "-", given=yaml.safe_dump_all(people))


async def _uses_it(me: Console, link: str, desktop: Desktop, screen: Screen) -> None:
    await me.page.goto(link)
    took = await me.until_state("open", within=30)
    print(f"a picture {took:.1f} s after the link was opened")
    assert "#" not in me.page.url
    await me.equals(screen)
    await me.type("echo typed without a control plane > typed")
    await until_holds(desktop, "typed", "typed without a control plane\n")
    await me.equals(screen)
    await me.shoot("1-typed")
    await me.page.reload()
    await me.until_state("open", within=30)
    await me.equals(screen)
    await me.shoot("2-reloaded")


async def _is_good_once(other: Console, link: str) -> None:
    await other.page.goto(link)
    await other.page.get_by_test_id("nothing").wait_for()
    assert "This link has been used" in await other.page.inner_text("body")
    await other.shoot("1-used")


async def _watches(
    other: Console, link: str, me: Console, desktop: Desktop, screen: Screen
) -> None:
    await other.page.goto(link)
    await other.until_state("open", within=30)
    await other.page.get_by_test_id("view-only").wait_for()
    await other.type("echo typed by a watcher > typed")
    await me.type("echo and again >> typed")
    await until_holds(desktop, "typed", "typed without a control plane\nand again\n")
    await other.equals(screen, beside=me)
    await other.shoot("2-watching")


async def _others_are_told_why(cluster: RealCluster, folder: Path) -> None:
    eve, bob = (kubeconfig_of(cluster, name, folder) for name in ("eve", "bob"))
    code, said = await ended(f"session/{NAME}", "--kubeconfig", eve)
    assert (code, "sessions/connect" in said) == (4, True), said
    code, said = await ended("session/nothing", "--kubeconfig", eve)
    assert (code, "There is no session nothing" in said) == (3, True), said
    # Bob may ask for the session, and not go the way to it.
    cluster.kubectl(
        *("-n", SESSIONS, "create", "role", "connects", "--verb=create"),
        "--resource=sessions.porthole.dev/connect",
    )
    bound = ("rolebinding", "connects", "--role=connects", f"--serviceaccount={SESSIONS}:bob")
    cluster.kubectl("-n", SESSIONS, "create", *bound)
    try:
        code, said = await ended(f"session/{NAME}", "--kubeconfig", bob)
        assert (code, "pods/portforward" in said) == (4, True), said
    finally:
        cluster.kubectl("-n", SESSIONS, "delete", "role,rolebinding", "connects")
