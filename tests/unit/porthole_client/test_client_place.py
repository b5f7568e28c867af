"""Which server is meant, and as whom."""

import json
from pathlib import Path

import pytest

from porthole_client.errors import Nowhere
from porthole_client.place import Place, find

URL = "http://127.0.0.1:8080"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "run" / "server.json").write_text(json.dumps({"url": URL}))
    (tmp_path / "secrets" / "admin-token").write_text("pht_home\n")
    return tmp_path


def test_what_is_given_wins(home: Path) -> None:
    place = find(server="https://a.example/", token="t", home=home, environment={})
    assert (place.server, place.token) == ("https://a.example", "t")


def test_the_environment_says_it() -> None:
    environment = {"PORTHOLE_SERVER": "https://b.example", "PORTHOLE_TOKEN": "e"}
    place = find(environment=environment)
    assert (place.server, place.token) == ("https://b.example", "e")


def test_a_home_that_is_named_wins_over_the_environment(home: Path) -> None:
    environment = {"PORTHOLE_SERVER": "https://b.example", "PORTHOLE_TOKEN": "e"}
    place = find(home=home, environment=environment)
    assert (place.server, place.token) == (URL, "pht_home")


def test_the_instance_of_this_machine_is_the_last_resort(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTHOLE_HOME", str(home))
    assert find(environment={}).token == "pht_home"


def test_a_token_of_this_machine_goes_to_no_other_server(home: Path) -> None:
    assert find(server="https://a.example", home=home, environment={}).token is None


def test_nothing_runs_there(tmp_path: Path) -> None:
    with pytest.raises(Nowhere, match="porthole up"):
        find(home=tmp_path, environment={})


def test_who_is_not_root_hears_of_sudo(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTHOLE_HOME", str(home / "none"))
    for uid, told in ((0, False), (1000, True)):
        monkeypatch.setattr("os.geteuid", lambda uid=uid: uid)
        with pytest.raises(Nowhere) as caught:
            find(environment={})
        assert ("sudo" in str(caught.value)) is told


@pytest.mark.parametrize("token", ["pht_…", "pht_a\nb"])
def test_a_token_that_can_be_none_is_refused_in_words(token: str) -> None:
    with pytest.raises(Nowhere, match="copy all of it"):
        find(server=URL, token=token, environment={})


@pytest.mark.parametrize(
    "server",
    ["", "desk", "ftp://x", "https://", "https://me:secret@x", "https://x?y", "https://x#y"],
)
def test_an_address_that_is_none_is_refused(server: str) -> None:
    with pytest.raises((Nowhere, ValueError)):
        Place(server)


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Place(URL, "secret"))
