"""What people and programs are shown."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from porthole_client.cli.output import Columns, Form, Output, ago, plain, size
from porthole_client.models import Me

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS: Columns[Me] = {"name": lambda me: me.name, "admin": lambda me: me.is_admin}
ADA = Me.model_validate({"id": "0199aaaa-0000-7000-8000-000000000001", "name": "ada"})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "now"), (1, "1s"), (59, "59s"), (60, "1m"), (3600, "1h"), (90000, "1d"), (-120, "in 2m")],
)
def test_ago(seconds: int, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


def test_never() -> None:
    assert ago(None) == "-"


@pytest.mark.parametrize(
    ("amount", "words"), [(None, "-"), (0, "0 B"), (1024, "1.0 KiB"), (5 * 2**30, "5.0 GiB")]
)
def test_size(amount: int | None, words: str) -> None:
    assert size(amount) == words


def test_nothing_that_a_terminal_obeys_is_printed() -> None:
    assert plain("a\x1b[31mb\nc\u202e") == "a?[31mb?c?"


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    Output(Form.JSON).list([ADA], COLUMNS, "none")
    printed = json.loads(capsys.readouterr().out)
    assert printed["items"][0]["name"] == "ada"


def test_an_empty_list_is_json_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    Output(Form.JSON).list([], COLUMNS, "none")
    assert json.loads(capsys.readouterr().out) == {"items": []}


def test_a_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    Output().list([ADA], COLUMNS, "none")
    heading, *_, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "admin"]
    assert row.split() == ["ada", "no"]


def test_an_empty_table_is_a_sentence_on_the_side(capsys: pytest.CaptureFixture[str]) -> None:
    Output().list([], COLUMNS, "There are none.")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "There are none.\n")


def test_a_log_gets_each_news_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Output().waiting("desk") as tell:
        for news in ("Pending", "Pending", "Running"):
            tell(news)
    assert capsys.readouterr().err.splitlines() == ["desk: Pending", "desk: Running"]
