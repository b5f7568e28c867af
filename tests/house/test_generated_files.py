"""What is generated and committed is what the generator makes now."""

from pathlib import Path

from bench import page
from e2e.chaos import page as faults
from e2e.chaos.plan import FAILPOINT, KINDS
from porthole_control import openapi
from tests.support import write_protocol

ROOT = Path(__file__).resolve().parents[2]


def test_the_apis_description_is_fresh() -> None:
    """Make it anew with `python -m porthole_control.openapi`."""
    assert (ROOT / "control_plane" / "openapi.json").read_text() == openapi.text()


def test_the_table_of_what_was_measured_is_fresh() -> None:
    """Make it anew with `python -m bench.page`."""
    assert page.PAGE.read_text() == page.fresh()


def test_the_page_about_faults_is_fresh() -> None:
    """Make it anew with `python -m e2e.chaos.page`."""
    text = faults.PAGE.read_text(encoding="utf-8")
    assert sorted(faults.parts(text)) == sorted(faults.NAMES)
    assert text == faults.fresh(text, faults.read())
    assert set(faults.WHAT) == {*KINDS, FAILPOINT}


def test_the_page_about_the_protocol_is_fresh() -> None:
    """Make it anew with `python -m tests.support.write_protocol`."""
    page = write_protocol.PAGE.read_text(encoding="utf-8")
    assert sorted(write_protocol.parts(page)) == sorted(write_protocol.NAMES)
    assert page == write_protocol.fresh(page)
