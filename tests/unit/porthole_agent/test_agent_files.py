"""Files, locks and the journal: what has to hold after a kill at any moment."""

import json
import os
from uuid import uuid4

from porthole_agent.files import is_locked, take_lock, write_whole
from porthole_agent.runtimes.local import homes as devices
from porthole_agent.runtimes.local.homes import Homes
from porthole_agent.runtimes.local.journal import Journal
from tests.support.local_records import NOW, SESSION


def test_a_file_is_replaced_whole_and_for_us_alone(tmp_path):
    path = tmp_path / "record.json"
    write_whole(path, b"one")
    write_whole(path, b"two" * 10**6)
    assert path.read_bytes() == b"two" * 10**6
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_a_lock_is_held_as_long_as_its_descriptor(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    fd = take_lock(path)
    assert fd is not None
    assert is_locked(path)
    assert take_lock(path) is None
    os.close(fd)
    assert not is_locked(path)


def test_a_lock_lives_with_the_child_that_got_it(tmp_path):
    path = tmp_path / "lock"
    fd = take_lock(path)
    assert fd is not None
    other = os.dup(fd)
    os.close(fd)
    assert is_locked(path)
    os.close(other)


class TestJournal:
    def opened(self, tmp_path):
        journal = Journal(tmp_path / "journal.jsonl")
        journal.open()
        return journal

    def lines(self, tmp_path):
        return [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]

    def test_a_start_is_said_once_even_across_lives(self, tmp_path):
        for _ in range(2):
            journal = self.opened(tmp_path)
            journal.say("started", SESSION, 1, 0, NOW)
            assert not journal.say("started", SESSION, 1, 0, NOW)
            journal.say("started", SESSION, 1, 1, NOW)
            assert journal.was_said("started", SESSION, 1, 1)
            journal.close()
        assert [(line["event"], line["restarts"]) for line in self.lines(tmp_path)] == [
            ("started", 0),
            ("started", 1),
        ]

    def test_a_line_that_was_cut_short_is_dropped(self, tmp_path):
        (tmp_path / "journal.jsonl").write_text('{"event":"gate_mended","session":"x","order')
        journal = self.opened(tmp_path)
        journal.say("lost", SESSION, 1, 0, NOW, reason="DesktopLost")
        journal.close()
        assert [line["reason"] for line in self.lines(tmp_path)] == ["DesktopLost"]


class TestHomes:
    def test_are_found_by_owner_and_name(self, tmp_path):
        homes = Homes(tmp_path)
        homes.open()
        made = homes.create("alice", "work", uid=7, size=2**30)
        homes.create("bob", "work", uid=8, size=2**30)
        again = Homes(tmp_path)
        again.open()
        assert again.find("alice", "work") == made
        assert again.find("alice", "play") is None
        again.delete(made.home)
        assert again.get(made.home) is None
        again.delete(made.home)

    def test_the_name_of_a_home_is_never_the_name_of_a_file(self, tmp_path):
        homes = Homes(tmp_path)
        homes.open()
        homes.create("alice", "../../x y", uid=7, size=1)
        assert not any("x y" in str(path) for path in tmp_path.rglob("*"))

    def test_an_order_may_say_which_id_a_home_has(self, tmp_path):
        homes = Homes(tmp_path)
        homes.open()
        home = uuid4()
        assert homes.create("alice", "work", uid=7, size=1, home=home).home == home

    def test_the_device_of_one_that_another_session_holds_is_not_left_over(
        self, tmp_path, monkeypatch
    ):
        image = tmp_path / "image.ext4"
        image.touch()
        assert not devices.is_left(image)
        monkeypatch.setattr(devices, "attached", lambda _: ["/dev/loop7"])
        assert devices.is_left(image)
        fd = take_lock(image)
        assert fd is not None
        assert not devices.is_left(image)
        os.close(fd)
        assert devices.is_left(image)

    def test_one_whose_making_was_cut_short_is_cleared_away(self, tmp_path):
        (tmp_path / str(uuid4())).mkdir()
        homes = Homes(tmp_path)
        homes.open()
        assert homes.all() == []
        assert list(tmp_path.iterdir()) == []
