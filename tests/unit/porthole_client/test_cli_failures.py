"""Which exit code a command ends with."""

import pytest

from porthole_client import errors
from porthole_client.cli.exits import Exit
from porthole_client.cli.failures import failure_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ProgramFault("not_started", "nope cannot be run."), Exit.NOT_RUN),
        (errors.FileFault("full", "The home is full."), Exit.FAILED),
        (errors.TimedOut("It took too long."), Exit.TIMED_OUT),
    ],
)
def test_what_went_wrong_has_a_code_and_a_sentence(error: errors.ClientError, code: Exit) -> None:
    failure = failure_of(error)
    assert failure.code is code
    assert str(failure) == str(error)
