"""The command line and both clients against a real control plane."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from porthole_client import AsyncPorthole, NotFound, NotSignedIn, Porthole, SessionEnded
from porthole_contract.lifecycle import Phase
from tests.support.drawing_agent import DrawingAgent
from tests.support.postgres import TestDatabase
from tests.support.served import Served, served
from tests.support.waiting import eventually

PORTHOLE = str(Path(sys.executable).parent / "porthole")
TEMPLATE = """
apiVersion: porthole.dev/v1alpha1
kind: SessionTemplate
metadata: {name: office}
spec:
  title: Office
  packages: [libreoffice-writer]
"""


@dataclass
class Typed:
    """What became of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Terminal:
    """Where commands are typed."""

    server: Served
    token: Path

    async def type(self, *words: str, token: Path | None = None) -> Typed:
        where = ["--server", self.server.url, "--token-file", str(token or self.token)]
        return await typed(*words, *where)


async def typed(*words: str, **environment: str) -> Typed:
    ours = {"PORTHOLE_SERVER", "PORTHOLE_TOKEN", "PORTHOLE_HOME"}
    inherited = {key: value for key, value in os.environ.items() if key not in ours}
    process = await asyncio.create_subprocess_exec(
        PORTHOLE,
        *words,
        env={**inherited, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert "Traceback" not in err.decode()
    return Typed(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def terminal(test_database: TestDatabase, tmp_path: Path) -> AsyncIterator[Terminal]:
    """A control plane with one agent, at which everything happens at once."""
    home = tmp_path / "home"
    async with served(test_database, home) as one:
        agent = await DrawingAgent.enrol(one.control_plane)
        async with agent.linked(one.ws):
            agent.describe()

            async def offered() -> bool:
                listed = await one.control_plane.admin.get("/api/v1/templates")
                return any(item["available"] for item in listed.json()["items"])

            await eventually(offered, True)
            yield Terminal(one, home / "secrets" / "admin-token")


async def test_a_session_from_its_making_to_its_end(terminal: Terminal) -> None:
    made = await terminal.type("session", "create", "desktop", "--name", "desk", "--wait")
    assert made.code == 0
    assert "desk: Running" in made.err
    assert "phase        Running" in made.out

    shown = await terminal.type("session", "show", "desk", "--output", "json")
    assert shown.json["phase"] == "Running"
    listed = await terminal.type("session", "list")
    assert listed.out.splitlines()[-1].split()[:3] == ["desk", "desktop", "Running"]

    asleep = await terminal.type("session", "hibernate", "desk", "--wait")
    assert "Hibernated" in asleep.out
    awake = await terminal.type("session", "wake", shown.json["id"], "--wait")
    assert "Running" in awake.out
    told = await terminal.type("session", "events", "desk")
    assert "Created from the template" in told.out.splitlines()[0]

    link = await terminal.type("session", "open", "desk", "--print")
    assert link.out.startswith(f"{terminal.server.url}/#/sign-in?token=phs_")

    assert (await terminal.type("session", "delete", "desk", "--wait")).code == 0
    gone = await terminal.type("session", "show", "desk")
    assert (gone.code, gone.out) == (3, "")
    assert "porthole session list" in gone.err
    told = await terminal.type("session", "events", "desk")
    assert "Created from the template" in told.out.splitlines()[0]
    orders = await terminal.type("command", "list", "-o", "json")
    kinds = [order["kind"] for order in orders.json["items"]]
    assert kinds == ["DeleteSession", "ApplySession", "ApplySession", "ApplySession"]


async def test_what_cannot_be_is_said_in_a_sentence(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("pht_wrong")
    cases: list[tuple[int, list[str], dict[str, Any]]] = [
        (2, ["session", "create", "desktop", "--size", "big"], {}),
        (2, ["session", "create"], {}),
        (2, ["template", "create", "-f", str(tmp_path / "none.yaml")], {}),
        (3, ["template", "show", "nothing"], {}),
        (3, ["home", "delete", "nothing", "--yes"], {}),
        (3, ["agent", "drain", "nobody"], {}),
        (4, ["session", "list"], {"token": tmp_path / "bad"}),
        (4, ["session", "list"], {"token": tmp_path / "none"}),
        (3, ["session", "create", "no-such-template"], {}),
    ]
    for code, words, options in cases:
        answer = await terminal.type(*words, **options)
        assert (answer.code, answer.out) == (code, ""), (words, answer)
        assert 0 < len(answer.err.splitlines()) < 6, answer.err
    assert "`porthole template list`" in answer.err


async def test_what_does_not_happen_in_time(terminal: Terminal) -> None:
    assert (await terminal.type("agent", "drain", "one")).code == 0
    words = ["session", "create", "desktop", "--name", "later", "--wait", "--timeout", "0.5"]
    late = await terminal.type(*words)
    assert late.code == 6
    assert "The session later is still Pending after 0.5 s." in late.err
    assert (await terminal.type("session", "show", "later")).code == 0


async def test_nobody_answers() -> None:
    answer = await typed("session", "list", "--server", "http://127.0.0.1:9")
    assert answer.code == 5
    assert "porthole status" in answer.err


async def test_a_name_that_is_taken(terminal: Terminal) -> None:
    first = await terminal.type("session", "create", "desktop", "--name", "twice")
    second = await terminal.type("session", "create", "desktop", "--name", "twice")
    assert (first.code, second.code) == (0, 7)


async def test_a_template_of_ones_own(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "office.yaml"
    file.write_text(TEMPLATE)
    made = await terminal.type("template", "create", "-f", str(file), "-o", "json")
    assert made.json["revision"] == 1
    again = await terminal.type("template", "create", "-f", str(file))
    assert again.code == 7
    file.write_text(TEMPLATE.replace("Office", "Office, newer"))
    newer = await terminal.type("template", "create", "-f", str(file), "--replace", "-o", "json")
    assert newer.json["revision"] == 2
    shown = await terminal.type("template", "show", "office")
    file.write_text(shown.out)
    same = await terminal.type("template", "create", "-f", str(file), "--replace", "-o", "json")
    assert same.json["digest"] == newer.json["digest"]
    assert (await terminal.type("template", "delete", "office")).code == 0
    file.write_text("kind: SessionTemplate\nmetadata: {name: UPPER}\nspec: {title: x}\n")
    wrong = await terminal.type("template", "create", "-f", str(file))
    assert wrong.code == 2
    assert "lower-case letters" in wrong.err


async def test_homes(terminal: Terminal) -> None:
    made = await terminal.type("session", "create", "desktop", "--in-home", "work", "--wait")
    assert made.code == 0
    assert (await terminal.type("home", "rename", "work", "play")).code == 0
    listed = await terminal.type("home", "list", "-o", "json")
    assert [home["name"] for home in listed.json["items"]] == ["play"]
    held = await terminal.type("home", "delete", "play", "--yes")
    assert held.code == 7
    unasked = await terminal.type("home", "delete", "play")
    assert unasked.code == 1


async def test_tokens_of_others(terminal: Terminal, tmp_path: Path) -> None:
    words = ["token", "create", "--name", "ci", "--user", "ada", "--scope", "read"]
    made = await terminal.type(*words, "--lifetime", "1h")
    (tmp_path / "ada").write_text(made.out.splitlines()[-1])
    mine = await terminal.type("session", "list", token=tmp_path / "ada")
    assert mine.code == 0
    more = await terminal.type("session", "create", "desktop", token=tmp_path / "ada")
    assert more.code == 4
    listed = await terminal.type("token", "list", "--everyone", "-o", "json")
    identity = next(one["id"] for one in listed.json["items"] if one["user"] == "ada")
    assert (await terminal.type("token", "revoke", identity)).code == 0
    assert (await terminal.type("session", "list", token=tmp_path / "ada")).code == 4


async def test_users_and_who_they_are_in_clusters(terminal: Terminal) -> None:
    await terminal.type("token", "create", "--name", "ci", "--user", "ada")
    mapped = await terminal.type("user", "map", "ada", "ada@example.org")
    assert mapped.code == 0
    assert mapped.out.split() == ["name", "ada", "in", "clusters", "ada@example.org"]
    listed = await terminal.type("user", "list", "-o", "json")
    assert {one["name"]: one["kubernetes_username"] for one in listed.json["items"]} == {
        "ada": "ada@example.org",
        "admin": None,
    }
    taken = await terminal.type("user", "map", "admin", "ada@example.org")
    assert taken.code == 7
    assert "Take that from them first" in taken.err
    assert (await terminal.type("user", "map", "nobody", "x")).code == 3
    assert (await terminal.type("user", "map", "ada", "a b")).code == 2
    assert (await terminal.type("user", "unmap", "ada")).code == 0
    assert "@" not in (await terminal.type("user", "list")).out


async def test_agents(terminal: Terminal) -> None:
    joined = await terminal.type("agent", "join-token", "two")
    line = joined.out.splitlines()[-1].split()
    assert line[:4] == ["./porthole", "agent", "join", terminal.server.url]
    assert line[4].startswith("phj_")
    drained = await terminal.type("agent", "drain", "one", "-o", "json")
    assert drained.json["state"] == "draining"
    back = await terminal.type("agent", "drain", "one", "--undo", "-o", "json")
    assert back.json["state"] == "enrolled"
    assert (await terminal.type("agent", "revoke", "one")).code == 0
    assert "There are no agents" in (await terminal.type("agent", "list")).err


async def test_the_environment_says_where(terminal: Terminal) -> None:
    token = terminal.token.read_text().strip()
    answer = await typed("agent", "list", PORTHOLE_SERVER=terminal.server.url, PORTHOLE_TOKEN=token)
    assert answer.code == 0
    assert "one" in answer.out


async def test_the_shell_completes_names(terminal: Terminal) -> None:
    asked = {
        "PORTHOLE_SERVER": terminal.server.url,
        "PORTHOLE_TOKEN": terminal.token.read_text().strip(),
        "_PORTHOLE_COMPLETE": "complete_bash",
        "COMP_WORDS": "porthole session create de",
        "COMP_CWORD": "3",
    }
    assert (await typed(**asked)).out.split() == ["desktop"]
    nobody = {**asked, "PORTHOLE_SERVER": "http://127.0.0.1:9"}
    assert await typed(**nobody) == Typed(0, "\n", "")


async def test_both_clients_have_the_same_conversation(terminal: Terminal) -> None:
    token = terminal.token.read_text().strip()

    def blocking() -> Phase:
        with Porthole(terminal.server.url, token) as porthole:
            with porthole.sessions.running("desktop", home="a") as session:
                assert porthole.sessions.ticket(session.id, mode="view").url.startswith("ws://")
            porthole.sessions.wait_gone(session.id)
            return session.phase

    async with AsyncPorthole(terminal.server.url, token) as porthole:
        async with porthole.sessions.running("desktop", home="b") as session:
            ticket = await porthole.sessions.ticket(session.id)
            assert ticket.url.startswith("ws://")
        await porthole.sessions.wait_gone(session.id)
        assert session.phase is await asyncio.to_thread(blocking)
        assert len(await porthole.homes.list()) == 2
        with pytest.raises(NotFound):
            await porthole.templates.get("nothing")
        with pytest.raises(SessionEnded):
            await porthole.sessions.wait_ready(session.id)
    async with AsyncPorthole(terminal.server.url, "pht_wrong") as porthole:
        with pytest.raises(NotSignedIn):
            await porthole.people.me()


async def test_the_same_key_asks_for_the_same_session(terminal: Terminal) -> None:
    token = terminal.token.read_text().strip()
    async with AsyncPorthole(terminal.server.url, token) as porthole:
        made = [await porthole.sessions.create("desktop", idempotency_key="once") for _ in range(2)]
        assert made[0].id == made[1].id
        assert len(await porthole.sessions.list()) == 1


async def test_what_became_of_a_command_is_told_in_sentences(terminal: Terminal) -> None:
    made = await terminal.type("session", "create", "desktop", "--name", "desk", "--wait")
    assert made.code == 0
    listed = await terminal.type(
        "command", "list", "--session", "desk", "--state", "succeeded", "--agent", "one"
    )
    assert listed.out.splitlines()[-1].split()[1] == "ApplySession"
    nothing = await terminal.type("command", "list", "--state", "expired")
    assert (nothing.out, nothing.err) == ("", "There are no such commands.\n")
    identity = listed.out.splitlines()[-1].split()[0]
    shown = await terminal.type("command", "show", identity)
    assert "state     succeeded" in shown.out
    assert "Sent to the agent 'one' in epoch 1." in shown.out
    assert shown.out.splitlines()[-1].endswith("says that it is held by its runtime.")
    as_json = await terminal.type("command", "show", identity, "--output", "json")
    assert len(as_json.json["story"]) == 3


async def test_rdp_servers_by_name(terminal: Terminal) -> None:
    made = await terminal.type("rdp-server", "create", "Office", "--output", "json")
    assert made.json["status"] == "stopped"
    listed = await terminal.type("rdp-server", "list")
    assert str(made.json["port"]) in listed.out
    # Its agent is one of another age: there is nobody who could listen.
    for words in (("expose", "Office"), ("create", "Home", "--expose")):
        refused = await terminal.type("rdp-server", *words)
        assert (refused.code, "porthole session connect" in refused.err) == (7, True), refused
    assert (await terminal.type("rdp-server", "hide", "Office")).out == "Hidden: Office\n"
    tested = await terminal.type("rdp-server", "test", "Office")
    assert (tested.code, "The server is stopped." in tested.out) == (1, True)
    assert (await terminal.type("rdp-server", "stop", "Office")).code == 0
    assert (await terminal.type("rdp-server", "delete", "Office")).code == 0
    assert (await terminal.type("rdp-server", "start", "Office")).code == 3
