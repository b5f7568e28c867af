"""What `up` decides without starting anything."""

import os
from pathlib import Path
from uuid import UUID

import pytest

from porthole_client.cli import links
from porthole_client.cli.exits import Failure
from porthole_client.cli.up import console, keeper, locks, logs, packages, record
from porthole_client.cli.up.command import make_home
from porthole_client.cli.up.instance import Instance
from porthole_client.cli.up.prepare import prepare
from porthole_client.cli.up.processes import Identity, holders
from porthole_client.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    make_home(made)
    return made


def test_a_home_is_closed_where_it_holds_secrets(home: Home) -> None:
    for inner in (home.secrets, home.run, home.log, home.agent):
        assert inner.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="Choose one with --home"):
        make_home(Home(tmp_path / "file" / "home"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("dlstatus:3:42.5:Retrieving file 3 of 9\n", ("fetching", 42)),
        ("pmstatus:libc6:amd64:99.9:Unpacking\n", ("installing", 99)),
        ("pmstatus:runc:50.0000:Installing runc (amd64)\n", ("installing", 50)),
        ("Reading package lists...\n", ("", 0)),
        ("pmerror:runc:50:it broke\n", ("", 0)),
        ("pmstatus:\n", ("", 0)),
        ("", ("", 0)),
    ],
)
def test_apt_tells_how_far_it_is(line: str, told: tuple[str, int]) -> None:
    assert packages.progress(line) == told


def test_a_template_that_is_not_built_in_cannot_be_installed() -> None:
    with pytest.raises(Failure, match="there are desktop, browser"):
        prepare(["word-star"], print)


def test_what_changes_the_console_changes_its_digest(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.ts").write_text("1")
    (tmp_path / "node_modules").mkdir()
    before = console.source_digest(tmp_path)
    (tmp_path / "node_modules" / "x").write_text("2")
    assert console.source_digest(tmp_path) == before
    (tmp_path / "src" / "a.ts").rename(tmp_path / "src" / "b.ts")
    assert console.source_digest(tmp_path) != before


def test_a_part_that_dies_again_waits_longer() -> None:
    pauses = [keeper.SHORTEST_PAUSE]
    for _ in range(8):
        pauses.append(keeper.next_pause(pauses[-1], lived=0.1))
    assert pauses[1:4] == [0.4, 0.8, 1.6]
    assert pauses[-1] == keeper.LONGEST_PAUSE
    assert keeper.next_pause(pauses[-1], lived=keeper.SETTLED) == keeper.SHORTEST_PAUSE


def test_the_record_reads_as_it_was_written(home: Home) -> None:
    me = Identity.of(os.getpid())
    assert me is not None
    written = record.Record(up=me).with_part(record.PartRecord("postgres", me))
    written = written.with_part(record.PartRecord("agent"))
    written = written.with_part(record.PartRecord("postgres", None, restarts=2))
    written.write(home)
    assert record.read(home) == written
    assert [part.name for part in written.parts] == ["postgres", "agent"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"up": 1, "parts": []}', "\x00"])
def test_a_record_that_is_broken_is_none(home: Home, content: str) -> None:
    home.parts.write_text(content)
    assert record.read(home) is None


def test_a_process_is_known_by_when_it_began() -> None:
    me = Identity.of(os.getpid())
    assert me is not None
    assert me.is_alive()
    assert not Identity(me.pid, me.started + 1, me.boot).is_alive()
    assert not Identity(me.pid, me.started, "another boot").is_alive()
    assert Identity.of(2**22 + 1) is None


def test_a_lock_is_held_as_long_as_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert locks.is_free(path)
    held = locks.take(path)
    assert held is not None
    assert locks.take(path) is None
    assert not locks.is_free(path)
    assert holders(path) == []  # we do not count ourselves
    os.close(held)
    assert locks.is_free(path)


def test_a_log_that_has_grown_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LONGEST", 10)
    path = tmp_path / "agent.log"
    out = logs.open_for(path)
    os.write(out, b"first line\nsecond line\n")
    logs.bound(path)
    os.write(out, b"third line\n")
    os.close(out)
    assert path.read_text() == "third line\n"
    assert (tmp_path / "agent.log.1").read_text() == "first line\nsecond line\n"
    assert logs.last_lines(path, 5) == ["third line"]
    logs.bound(tmp_path / "none.log")
    assert logs.last_lines(tmp_path / "none.log", 5) == []


def test_a_log_that_cannot_be_kept_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(bytes(logs.LONGEST + 1))
    path.with_suffix(".log.1").mkdir()  # nothing can be written there, as on a disk that is full
    logs.bound(path)
    assert path.stat().st_size == 0


def test_what_cannot_be_recorded_is_said_and_keeps_nothing_from_going_on(home: Home) -> None:
    said: list[str] = []
    running = Instance(home, said.append)
    home.parts.mkdir()
    running._changed(record.PartRecord("agent"))
    assert "cannot be written" in said[0]


def test_a_link_to_a_session_signs_in_first() -> None:
    session = UUID("0199aaaa-0000-7000-8000-000000000001")
    assert (
        links.to_session("http://127.0.0.1:8080/#/sign-in?token=x", session)
        == f"http://127.0.0.1:8080/#/sign-in?token=x&to=%2Fsessions%2F{session}"
    )
