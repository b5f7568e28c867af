"""A copy that is under way while its session is started, or put to sleep."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from porthole_client.cli import copying
from porthole_client.cli.copying import Copy
from porthole_client.errors import ClientError, Conflict, FileFault, StreamLost, StreamRefused
from porthole_client.files import HomeFiles

LOST = StreamLost("desktop_left", "The desktop closed the stream.")
WAKING = Conflict(409, {"code": "session_not_running", "detail": "The session is Waking."})
NOT_YET = StreamRefused("gate_not_ready", "The session's gate does not listen yet.")
NOTHING = FileFault("not_found", "There is no such file.")


class Home:
    """A home whose answers are written down."""

    def __init__(self, *answers: ClientError | None) -> None:
        self.answers = list(answers)

    @contextmanager
    def open(self) -> Iterator[HomeFiles]:
        if isinstance(self.answers[0], Conflict | StreamRefused):
            raise self.answers.pop(0)  # type: ignore[misc]
        yield cast("HomeFiles", self)

    def _say(self, *_: Any, **__: Any) -> None:
        if (answer := self.answers.pop(0)) is not None:
            raise answer

    stat = upload = _say


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(copying, "_PAUSE", 0)
    made = tmp_path / "file"
    made.write_text("x")
    return made


def test_it_goes_on_with_whatever_serves_the_files_next(file: Path) -> None:
    home = Home(NOTHING, LOST, WAKING, NOT_YET, None)
    with Copy(home.open, lambda _: None) as copy:
        copy.up(file, "there")
    assert (copy.files, home.answers) == (1, [])


@pytest.mark.parametrize("refusal", [WAKING, NOT_YET])
def test_what_never_began_is_refused_at_once(file: Path, refusal: ClientError) -> None:
    home = Home(refusal, None)
    with Copy(home.open, lambda _: None) as copy, pytest.raises(type(refusal)):
        copy.up(file, "there")
    assert home.answers == [None]
