"""`porthole open` against a real API server, an operator and a gate, by a person's kubeconfig.

There is no kubelet, so nothing can be forwarded: the gate is dialled where it listens. What
forwards is told by the story about it on a real cluster.
"""

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open import page as pages
from porthole_client.cli.open.cluster import Cluster, Missing
from porthole_client.cli.open.desktop import Desktop
from porthole_client.cli.open.kubeconfig import Kubeconfig
from porthole_contract.cluster import Kind
from porthole_desktop.gate.rdp import x224
from porthole_kube.kinds import TICKETS
from tests.support.operator_desks import ADDRESS, a_place_with_desks
from tests.support.rdp_way import cleanpath
from tests.support.rfb_client import RfbClient, WebSocketStream
from tests.support.waiting import eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

BOTH = {
    "apiVersion": "porthole.dev/v1alpha1",
    "kind": "SessionTemplate",
    "metadata": {"name": "both"},
    "spec": {"title": "Both", "image": "desktop-rdp", "protocols": ["vnc", "rdp"]},
}
PORTHOLE = Path(sys.executable).parent / "porthole"


class Direct:
    """Dials where a gate listens on this machine, whatever pod is named."""

    def __init__(self, port: int) -> None:
        self._port = port

    @asynccontextmanager
    async def dial(self, pod: str, port: int):
        assert port == 7443, pod
        yield socket.create_connection((ADDRESS, self._port))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(cluster, tmp_path_factory):
    async with a_place_with_desks(cluster, tmp_path_factory.mktemp("open")) as made:
        await made.start()
        await asyncio.to_thread(cluster.apply, *rights(made.namespace))
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(place):
    """One desktop for all: only one gate listens at a time. The last test ends it."""
    await place.apply(BOTH)
    await place.apply_session("seen", home="bed", template="both")
    await place.reaches("seen", phase="Running")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A page as it is built, for what matters here."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "assets").mkdir()
    (folder / "open.html").write_text("<!doctype html><title>Porthole</title>")
    (folder / "assets" / "open.js").write_text("export {};")
    return folder


def rights(namespace: str) -> list[dict[str, object]]:
    """What decision 0605 says that a person needs; bob has no right to tickets."""
    api = "rbac.authorization.k8s.io/v1"
    look = {"apiGroups": ["porthole.dev"], "resources": ["sessions"], "verbs": ["get"]}
    ask = {
        "apiGroups": ["porthole.dev"],
        "resources": ["sessiontickets"],
        "verbs": ["create", "get", "delete"],
    }
    forward = {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]}
    made: list[dict[str, object]] = []
    for name, people, rules in (
        ("openers", ("ada", "eve"), [look, ask, forward]),
        ("lookers", ("bob",), [look]),
    ):
        head = {"name": name, "namespace": namespace}
        subjects = [
            {"kind": "User", "name": one, "apiGroup": "rbac.authorization.k8s.io"} for one in people
        ]
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        made += [
            {"apiVersion": api, "kind": "Role", "metadata": head, "rules": rules},
            {
                "apiVersion": api,
                "kind": "RoleBinding",
                "metadata": head,
                "roleRef": ref,
                "subjects": subjects,
            },
        ]
    return made


@asynccontextmanager
async def looked_at(place, name: str = "seen", *, user: str = "ada", watch_only: bool = False):
    """The session as somebody with that name in their kubeconfig has it."""
    file = str(place.server.kubeconfig_of(user))
    kubeconfig = Kubeconfig(file, context=None, namespace=place.namespace)
    async with Cluster(kubeconfig) as cluster:
        yield Desktop(cluster, Direct(place.port), name, watch_only=watch_only)


@asynccontextmanager
async def followed(desktop, built):
    """A browser that has followed the link: (how it asks, its address, its key, the news)."""
    news: list[str] = []
    async with (
        pages.served(desktop, news.append, built) as link,
        aiohttp.ClientSession() as browser,
    ):
        parts = urlsplit(link)
        browser.origin = f"http://{parts.netloc}"
        async with browser.post(
            f"{browser.origin}/sign-in",
            json={"secret": parts.fragment},
            headers={"Origin": browser.origin},
        ) as answer:
            assert answer.status == 200, await answer.text()
            key = (await answer.json())["key"]
        browser.headers.update({"Authorization": f"Bearer {key}", "Origin": browser.origin})
        browser.news = news
        browser.link = link
        yield browser


async def a_ticket(browser, mode: str = "control", **over: str) -> tuple[str, str]:
    asked = {"mode": mode, **over}
    async with browser.post(f"{browser.origin}/tickets", json=asked) as answer:
        assert answer.status == 201, await answer.text()
        said = await answer.json()
        return f"{browser.origin}/{said['url']}", said["stream"]


async def ticket(browser, mode: str = "control", **over: str) -> str:
    return (await a_ticket(browser, mode, **over))[0]


async def at_desktop(stream) -> RfbClient:
    through = WebSocketStream(Received(stream))
    return await RfbClient.greet(through, through)


class Received:
    """A WebSocket of aiohttp, with the words of `websockets`."""

    def __init__(self, stream) -> None:
        self.stream = stream

    async def recv(self) -> bytes:
        return await self.stream.receive_bytes()

    async def send(self, data: bytes) -> None:
        await self.stream.send_bytes(data)

    async def close(self) -> None:
        await self.stream.close()


@pytest.mark.usefixtures("seen")
async def test_an_owner_sees_their_session_with_nothing_but_a_kubeconfig(place):
    async with looked_at(place) as desktop:
        assert (await desktop.ready(60, print)).name == "seen"
        opening = await desktop.ticket("control")
        async with desktop.screen(opening) as (reader, writer, first):
            reader.feed_data(first)
            client = await RfbClient.greet(reader, writer)
            await client.refresh()
            assert len(client.image().getcolors(1 << 24)) > 2
        # What was granted opens nothing again.
        with pytest.raises(Failure, match="says no"):
            async with desktop.screen(opening):
                pass
    assert await place.admin.list(TICKETS, place.namespace) == []


@pytest.mark.usefixtures("seen")
async def test_the_page_replaces_streams_of_its_own(place, built):
    async with looked_at(place) as desktop, followed(desktop, built) as browser:
        url, name = await a_ticket(browser)
        async with browser.ws_connect(url, protocols=["binary"]) as left:
            await at_desktop(left)
            url = await ticket(browser, replaces=name)
            async with browser.ws_connect(url, protocols=["binary"]) as stream:
                await (await at_desktop(stream)).refresh()
                async with asyncio.timeout(10):
                    while (await left.receive()).type is aiohttp.WSMsgType.BINARY:
                        pass
                assert left.closed
                await place.reaches("seen", viewers=1)
        for unknown in ("mine", str(uuid4())):
            asked = {"mode": "view", "replaces": unknown}
            async with browser.post(f"{browser.origin}/tickets", json=asked) as answer:
                assert answer.status == 404
                assert (await answer.json())["code"] == "stream_unknown"
        await place.reaches("seen", viewers=0)


@pytest.mark.usefixtures("seen")
async def test_the_page_shows_it_to_the_browser_that_followed_the_link(place, built):
    async with looked_at(place) as desktop, followed(desktop, built) as browser:
        async with browser.get(f"{browser.origin}/session") as answer:
            shown = await answer.json()
        assert (shown["session"]["phase"], shown["watch_only"]) == ("Running", False)
        for _ in range(2):  # a reload
            url = await ticket(browser)
            async with browser.ws_connect(url, protocols=["binary"]) as stream:
                client = await at_desktop(stream)
                await client.refresh()
                assert len(client.image().getcolors(1 << 24)) > 2
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await browser.ws_connect(url, protocols=["binary"])
            assert refused.value.status == 403
        assert (shown["session"]["protocol"], shown["protocols"]) == ("vnc", ["vnc", "rdp"])
        url = await ticket(browser, channel="rdp")
        async with browser.ws_connect(url, protocols=["binary"]) as stream:
            await stream.send_bytes(cleanpath())
            assert x224.confirm() in await stream.receive_bytes(timeout=20)
        wrong = {"mode": "view", "channel": "exec"}
        async with browser.post(f"{browser.origin}/tickets", json=wrong) as answer:
            assert answer.status == 422
            assert "seen over vnc and rdp" in (await answer.json())["detail"]
        await place.reaches("seen", viewers=0)


@pytest.mark.usefixtures("seen")
async def test_whoever_only_watches_is_given_no_more(place, built):
    async with (
        looked_at(place, watch_only=True) as desktop,
        followed(desktop, built) as browser,
    ):
        url = await ticket(browser, "control")
        async with browser.ws_connect(url, protocols=["binary"]) as stream:
            through = WebSocketStream(Received(stream))
            client = await RfbClient.greet(through, through)
            before = client.width, client.height
            await client.refresh()
            assert (client.width, client.height) == before
        async with browser.get(f"{browser.origin}/session") as answer:
            assert (await answer.json())["watch_only"] is True


@pytest.mark.usefixtures("seen")
async def test_nobody_else_on_this_machine_gets_anything(place, built):
    async with looked_at(place) as desktop, followed(desktop, built) as browser:
        here, secret = browser.origin, urlsplit(browser.link).fragment

        async def status(verb: str, path: str, **options: object) -> int:
            async with (
                aiohttp.ClientSession() as other,
                other.request(verb, f"{here}{path}", **options) as answer,
            ):
                assert answer.headers["X-Frame-Options"] == "DENY"
                policy = answer.headers["Content-Security-Policy"]
                page = path == "/" and answer.status == HTTPStatus.OK
                assert ("unsafe" in policy) == ("'wasm-unsafe-eval'" in policy) == page
                return answer.status

        own = {"Origin": here}
        assert await status("GET", "/") == 200
        assert await status("GET", "/assets/open.js") == 200
        assert await status("GET", "/%2e%2e/secret") == 404
        assert await status("GET", "/", headers={"Host": "evil.example"}) == 421
        assert await status("GET", "/session") == 401
        assert await status("POST", "/tickets", json={"mode": "view"}, headers=own) == 401
        assert await status("POST", "/sign-in", json={"secret": secret}, headers=own) == 403
        assert await status("POST", "/sign-in", json={"secret": secret}) == 403
        assert await status("POST", "/sign-in", data=b"{", headers=own) == 400
        assert await status("PUT", "/session", headers=own) == 405
        url = await ticket(browser)
        for headers in ({}, {"Origin": "http://evil.example"}):
            async with aiohttp.ClientSession(headers=headers) as other:
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await other.ws_connect(url, protocols=["binary"])
                assert refused.value.status == 403


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize(
    ("user", "session", "code", "words"),
    [
        ("eve", "seen", Exit.NOT_ALLOWED, "sessions/connect"),
        ("bob", "seen", Exit.NOT_ALLOWED, "sessiontickets"),
        ("mallory", "seen", Exit.NOT_ALLOWED, "the right to get sessions"),
        ("ada", "unseen", Exit.NOT_FOUND, "There is no session unseen in namespace"),
    ],
)
async def test_who_may_not_is_told_why(place, user: str, session: str, code: Exit, words: str):
    async def ask() -> None:
        async with looked_at(place, session, user=user) as desktop:
            await desktop.ready(60, print)
            await desktop.ticket("view")

    with pytest.raises(Failure, match=words) as failed:
        await ask()
    assert failed.value.code is code, failed.value


async def test_a_cluster_without_porthole_says_so(place):
    file = str(place.server.kubeconfig_of("ada"))
    async with Cluster(Kubeconfig(file, context=None, namespace=place.namespace)) as cluster:
        with pytest.raises(Missing) as missing:
            await cluster.get(Kind("porthole.dev", "v9", "sessions", "Session"), "x")
        assert missing.value.kind_unknown


def opened(place, *words: str, user: str = "ada") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PORTHOLE, "open", "--no-browser", "-n", place.namespace, *words],
        env={**os.environ, "KUBECONFIG": str(place.server.kubeconfig_of(user))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.usefixtures("seen")
async def test_the_command_ends_with_a_sentence_and_a_code(place):
    async def said(*words: str, **options: str) -> tuple[int, str]:
        done = await asyncio.to_thread(opened, place, *words, **options)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr.splitlines()[-1]

    code, line = await said("session/unseen")
    assert (code, line.partition(" in ")[0]) == (3, "porthole: There is no session unseen")
    assert (await said("session/seen", user="eve"))[0] == 4
    assert (await said("pod/seen"))[0] == 2
    assert (await said("session/seen", "--context", "nowhere"))[0] == 3
    assert (await said("session/seen", "--server", "https://x.example"))[0] == 2
    # The pod is on no node that there is: it cannot be reached, and that is said.
    code, line = await said("seen")
    assert (code, line.partition(":")[0]) == (5, "porthole"), line
    assert "port-forward cannot be opened: the API server answered 5" in line


@pytest.mark.usefixtures("seen")
async def test_when_it_ends_the_page_says_why(place, built):
    async with (
        looked_at(place) as desktop,
        followed(desktop, built) as browser,
    ):
        await desktop.ready(60, print)

        async def phase() -> str:
            async with browser.get(f"{browser.origin}/session") as answer:
                shown = (await answer.json())["session"]
            said.append(shown["message"])
            return shown["phase"]

        said: list[str] = []
        async with browser.ws_connect(await ticket(browser), protocols=["binary"]) as stream:
            await place.apply_session("seen", home="bed", desired="Hibernated")
            async for _ in stream:
                pass
            # It may still be Running in the cluster; it is nothing that the page gives up at.
            assert stream.close_code in {4001, 4010}
        await eventually(phase, "Hibernated", within=60)
        assert "Wake it with `kubectl" in said[-1]
        with pytest.raises(Failure, match="is asleep") as failed:
            await desktop.ready(60, print)
        assert failed.value.code is Exit.CONFLICT
        async with browser.post(f"{browser.origin}/tickets", json={"mode": "view"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (409, "conflict")
        await place.delete("seen")
        await place.gone("seen")
        assert await phase() == "Terminated"
        async with browser.post(f"{browser.origin}/tickets", json={"mode": "view"}) as answer:
            assert answer.status == 404
        assert any(news.startswith("Hibernated") for news in browser.news)
