"""Rubbish never makes a parser of RDP raise anything but a fault of whoever said it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from tests.support.rdp_targets import TARGETS, seeds, throw

SEEDS = [*seeds()]


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=600))
def test_rubbish_is_a_fault_of_its_sender(name: str, data: bytes) -> None:
    with contextlib.suppress(ViewerFault, DesktopFault):
        TARGETS[name](data)


@given(st.sampled_from(SEEDS), st.integers(0, 2000), st.binary(max_size=8), st.integers(0, 8))
def test_what_was_recorded_and_then_changed_is_a_fault_or_passes(
    data: bytes, at: int, instead: bytes, less: int
) -> None:
    at = 1 + at % len(data)
    throw(data[:at] + instead + data[at + less :])


@pytest.mark.parametrize("data", SEEDS, ids=lambda data: f"{data[0]}-{data[1:9].hex()}")
def test_what_was_recorded_and_ends_early_is_a_fault_or_waits(data: bytes) -> None:
    for end in range(1, len(data), 1 + len(data) // 40):
        throw(data[:end])
