from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from porthole_contract.stream.closing import CloseReason, websocket_close
from porthole_control.sockets import LONGEST_REASON, Gone, cut
from porthole_control.streams import endings
from porthole_control.streams.endings import Ending, Standing, verdict

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = Standing(
    state="open",
    closed_reason=None,
    closed_message=None,
    session_ended=False,
    agent_state="enrolled",
    token_revoked=False,
    token_expires_at=None,
    user_disabled=False,
)


def test_every_reason_of_ours_fits_into_a_close_frame():
    known = [value for value in vars(endings).values() if isinstance(value, Ending)]
    assert len(known) > 10
    for ending in known:
        assert cut(ending.reason) == ending.reason


def test_a_reason_is_cut_between_characters():
    assert cut("é" * 100) == "é" * (LONGEST_REASON // 2)


@pytest.mark.parametrize("reason", list(CloseReason))
def test_what_an_agent_says_is_passed_on(reason):
    code, text = websocket_close(reason, "Why: because.")
    assert endings.from_agent(Gone(code, text)) == Ending(code, str(reason), "Why: because.")
    assert endings.from_agent(Gone(*websocket_close(reason, ""))) == Ending(code, str(reason), "")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1006, ""),
        (1005, ""),
        (1011, "internal: It broke."),
        (4003, ""),
        (4003, "Not a name: no."),
        (4003, "x" * 123),
        (5000, "kicked: Out."),
        (4003, "kicked: Out\0."),
    ],
)
def test_an_agent_that_says_nothing_has_cut_the_stream(code, reason):
    assert endings.from_agent(Gone(code, reason)) == endings.STREAM_CUT


def test_an_agent_may_simply_be_done():
    assert endings.from_agent(Gone(1000)) == endings.CLOSED
    closed = endings.CLOSED
    assert endings.from_agent(Gone(closed.code, closed.reason)) == closed


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1000, endings.VIEWER_LEFT),
        (1001, endings.VIEWER_LEFT),
        (1005, endings.VIEWER_LEFT),
        (1006, endings.VIEWER_LOST),
        (4001, endings.VIEWER_LOST),
    ],
)
def test_what_the_end_of_a_viewer_means(code, expected):
    assert endings.from_viewer(Gone(code, "session_ended: I say so.")) == expected


def test_a_process_of_ours_is_believed():
    for ending in (endings.SESSION_ENDED, endings.VIEWER_LEFT, endings.GOING_AWAY):
        assert endings.from_replica(Gone(ending.code, ending.reason)) == ending
    assert endings.from_replica(Gone(1006)) == endings.REPLICA_LOST
    assert endings.from_replica(Gone(1011, "internal: It broke.")) == endings.REPLICA_LOST


def test_the_words_of_a_refusal_are_bounded():
    assert endings.refused("gate_silent", "No.") == Ending(4005, "gate_silent", "No.")
    assert endings.refused("Not A Name", "") == endings.GATE_REFUSED
    assert len(endings.refused("x" * 64, "y" * 2000).sentence) == 500


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"session_ended": True}, endings.SESSION_ENDED),
        ({"agent_state": "revoked", "session_ended": True}, endings.REVOKED),
        ({"agent_state": "draining"}, None),
        ({"token_revoked": True}, endings.REVOKED),
        ({"user_disabled": True}, endings.REVOKED),
        ({"token_expires_at": NOW}, endings.REVOKED),
        ({"token_expires_at": NOW + timedelta(seconds=1)}, None),
        ({"state": "closed"}, endings.STREAM_CUT),
        (
            {"state": "closed", "closed_reason": "gate_silent", "closed_message": "No."},
            Ending(4005, "gate_silent", "No."),
        ),
    ],
)
def test_what_ends_a_live_stream(changes, expected):
    assert verdict(replace(GOOD, **changes), NOW) == expected


def test_a_stream_that_nobody_knows_ends():
    assert verdict(None, NOW) == endings.SESSION_ENDED
