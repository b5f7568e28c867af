"""What a ticket opens of a desktop."""

import pytest

from porthole_contract.lifecycle import Phase
from porthole_contract.stream.channels import Channel
from porthole_control.errors import Conflict
from porthole_control.streams.tickets import opened, reachable


@pytest.mark.parametrize(
    ("desktop", "channel", "protocol", "what"),
    [
        ("vnc", None, None, ("vnc", "rfb")),
        ("rdp", None, None, ("rdp", "rdcleanpath")),
        ("rdp", "rdp", "rdp", ("rdp", "rdp")),
        ("rdp", "vnc", None, ("vnc", "rfb")),
        ("rdp", "control", None, ("control", "lines")),
    ],
)
def test_what_is_opened(
    desktop: str, channel: str | None, protocol: str | None, what: tuple[str, str]
) -> None:
    mode = "observe" if channel == "control" else "view"
    found = opened(desktop, channel, protocol, mode)
    assert (found.channel, found.protocol) == what


@pytest.mark.parametrize("channel", [*Channel])
@pytest.mark.parametrize("phase", [*Phase])
def test_what_runs_is_reached_and_of_what_sleeps_its_files(channel: Channel, phase: Phase) -> None:
    asleep = (channel, phase) == (Channel.FILES, Phase.HIBERNATED)
    assert reachable(channel, phase) is (phase is Phase.RUNNING or asleep)


@pytest.mark.parametrize(
    ("desktop", "channel", "protocol", "code", "says"),
    [
        ("rdp", "smell", None, "channel_not_served", "no channel 'smell'"),
        ("rdp", "control", None, "channel_not_served", "no channel 'control'"),
        ("x", None, None, "channel_not_served", "no channel None"),
        ("rdp", None, "rfb", "protocol_not_served", "'rdcleanpath' or 'rdp', not 'rfb'"),
        ("vnc", None, "rdp", "protocol_not_served", "'rfb', not 'rdp'"),
    ],
)
def test_what_is_not_opened(
    desktop: str, channel: str | None, protocol: str | None, code: str, says: str
) -> None:
    with pytest.raises(Conflict) as caught:
        opened(desktop, channel, protocol, "control")
    assert caught.value.code == code
    assert says in str(caught.value)
