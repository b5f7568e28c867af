"""What a ticket opens: the screens that its session's desktop has."""

import secrets
from datetime import timedelta

import pytest

from porthole_contract.lifecycle import Phase
from porthole_contract.session import PinnedName, Protocol
from porthole_contract.stream.sealed import public_half
from porthole_contract.testing.builders import NOON
from porthole_contract.ticket import SessionTicketSpec
from porthole_operator.tickets import Opening, Refusal, judged
from tests.support.operator_worlds import a_drawn_pod, a_subject

VNC, RDP = Protocol.VNC, Protocol.RDP


@pytest.mark.parametrize(
    ("spoken", "served"),
    [
        ((), {"vnc"}),  # it was pinned by an operator that noted nothing
        ((VNC,), {"vnc"}),
        ((RDP,), {"rdp"}),
        ((VNC, RDP), {"vnc", "rdp"}),
    ],
)
def test_a_screen_is_opened_over_what_the_desktop_speaks(
    spoken: tuple[Protocol, ...], served: set[str]
) -> None:
    pin = PinnedName(name="desktop", digest="a" * 64, protocols=spoken)
    subject = a_subject(Phase.RUNNING, status={"template": pin})
    key = public_half(secrets.token_bytes(32))
    for channel in ("vnc", "rdp", "files", "later"):
        ticket = SessionTicketSpec(session="one", owner="ada", channel=channel, public_key=key)
        found = judged(ticket, NOON, subject, a_drawn_pod(), NOON + timedelta(seconds=1))
        if channel in served:
            assert isinstance(found, Opening)
        else:
            assert isinstance(found, Refusal)
            assert found.reason == "ChannelNotServed"
            assert all(name in found.message for name in (channel, *served))
