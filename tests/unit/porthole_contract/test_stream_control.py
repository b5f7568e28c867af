"""Lines of a control channel, and names of channels."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.errors import LocalProtocolError, Refused, RemoteProtocolError
from porthole_contract.stream import control
from porthole_contract.stream.channels import DESKTOPS, Channel, Mode, check_served
from porthole_contract.stream.closing import CloseReason
from porthole_contract.trace import Span

VIEWER = control.Viewer(
    stream=uuid4(), channel="vnc", mode="view", since=datetime(2026, 5, 1, tzinfo=UTC), sent=5
)


@pytest.mark.parametrize(
    "news",
    [
        control.State(session=uuid4(), drawn=True, idle_seconds=1.5, viewers=(VIEWER,)),
        control.Closed(viewer=VIEWER, reason=CloseReason.KICKED, message="Bye."),
        control.Done(id=7),
        control.Done(id=None, error="unknown_order", message="No such order."),
    ],
)
def test_news_are_read_as_they_were_said(news: control.News) -> None:
    line = control.encode(news)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert control.read_news(line) == news


@pytest.mark.parametrize(
    "order",
    [
        control.SetMode(id=1, stream=uuid4(), mode="view"),
        control.Kick(id=2, stream=uuid4(), reason=CloseReason.REVOKED),
        control.StopDesktop(id=3),
        control.StartProgram(id=4, program="Terminal"),
    ],
)
def test_orders_are_read_as_they_were_given(order: control.Order) -> None:
    assert control.read_order(control.encode(order)) == order


def test_the_lines_are_those_that_were_promised() -> None:
    golden = (Path(__file__).parents[2] / "compat" / "stream" / "control.jsonl").read_bytes()
    name = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    viewer = control.Viewer.model_validate({**dict(VIEWER), "stream": name})
    said: list[control.News | control.Order] = [
        control.State(version="1.0", session=name, drawn=True, idle_seconds=1.5, viewers=(viewer,)),
        control.Closed(viewer=viewer, reason=CloseReason.KICKED, message="Bye."),
        control.Done(id=7),
        control.SetMode(id=1, stream=name, mode="view"),
        control.Kick(id=2, stream=name, reason=CloseReason.REVOKED),
        control.StopDesktop(id=3),
        control.StartProgram(id=4, program="Terminal"),
    ]
    assert b"".join(map(control.encode, said)) == golden


def test_what_1_1_has_besides_is_as_it_was_promised() -> None:
    golden = (Path(__file__).parents[2] / "compat" / "stream" / "control-1.1.jsonl").read_bytes()
    name = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    span = Span(
        trace="4bf92f3577b34da6a3ce929d0e0e4736",
        span="00f067aa0ba902b8",
        parent="00f067aa0ba902b7",
        name="gate waits for the picture",
        start=1_893_499_200_000_000_000,
        end=1_893_499_201_000_000_000,
    )
    said: list[control.News] = [
        control.State(version="1.1", session=name, drawn=True, idle_seconds=1.5),
        span,
    ]
    assert b"".join(map(control.encode, said)) == golden
    assert [control.read_news(line) for line in golden.splitlines()] == said


def test_what_1_2_has_besides_is_as_it_was_promised() -> None:
    golden = (Path(__file__).parents[2] / "compat" / "stream" / "control-1.2.jsonl").read_bytes()
    name = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    viewer = {**dict(VIEWER), "stream": name, "channel": "rdp", "mode": "control"}
    stranger = control.Viewer.model_validate({**viewer, "unproven": True})
    said = control.State(
        version="1.2", session=name, drawn=True, idle_seconds=1.5, viewers=(stranger,)
    )
    assert control.encode(said) == golden
    assert control.read_news(golden) == said


def test_what_1_3_has_besides_is_as_it_was_promised() -> None:
    golden = (Path(__file__).parents[2] / "compat" / "stream" / "control-1.3.jsonl").read_bytes()
    name = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    usage = control.Usage(age=2.5, cpu_seconds=12.5, memory=2**28, received=4096, sent=2048)
    said = control.State(session=name, drawn=True, idle_seconds=1.5, usage=usage)
    assert control.encode(said) == golden
    assert control.read_news(golden) == said


def test_types_of_a_newer_version_are_skipped_and_rubbish_is_refused() -> None:
    assert control.read_order(b'{"type":"dance","id":1}') is None
    assert control.read_news(b'{"type":"weather"}') is None
    for line in (b"", b"[]", b"{}", b"{", b'{"type":"kick"}', b'{"type":"kick","id":-1}', b"\xff"):
        with pytest.raises(RemoteProtocolError):
            control.read_order(line)


def test_an_order_gives_only_reasons_that_are_an_orders() -> None:
    line = b'{"type":"kick","id":1,"stream":"%s","reason":"internal"}' % str(uuid4()).encode()
    with pytest.raises(RemoteProtocolError, match="reason"):
        control.read_order(line)


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b)), st.integers(1, 9))
def test_lines_are_the_same_in_any_chunks(lines: list[bytes], size: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    cutter, found = control.Lines(), []
    for at in range(0, len(data), size):
        found += cutter.feed(data[at : at + size])
    assert found == lines


def test_a_line_without_end_is_refused() -> None:
    cutter = control.Lines()
    assert cutter.feed(b"x" * (control.LONGEST_LINE - 1)) == []
    with pytest.raises(RemoteProtocolError):
        cutter.feed(b"x")
    with pytest.raises(LocalProtocolError):
        control.encode(
            control.State(session=uuid4(), drawn=True, idle_seconds=0, viewers=(VIEWER,) * 1000)
        )


def test_what_is_served() -> None:
    assert check_served("vnc", "rfb", "view", "none") == (Channel.VNC, Mode.VIEW)
    assert check_served("control", "lines", "command", "none") == (Channel.CONTROL, Mode.COMMAND)


def test_a_gate_serves_the_channels_of_its_desktop() -> None:
    rdp = (*DESKTOPS["rdp"], Channel.CONTROL)
    for word in ("rdcleanpath", "rdp"):
        assert check_served("rdp", word, "view", "none", serves=rdp) == (Channel.RDP, Mode.VIEW)
    with pytest.raises(Refused, match="does not serve the channel 'vnc'"):
        check_served("vnc", "rfb", "view", "none", serves=rdp)
    with pytest.raises(Refused, match="speaks 'rdcleanpath' or 'rdp', not 'rfb'"):
        check_served("rdp", "rfb", "view", "none", serves=rdp)


@pytest.mark.parametrize(
    ("names", "code", "says"),
    [
        (("smell", "rfb", "view", "none"), "unknown_channel", "no channel named 'smell'"),
        (("rdp", "rdp", "view", "none"), "channel_not_served", "'rdp'"),
        (("vnc", "rdp", "view", "none"), "protocol_not_served", "speaks 'rfb', not 'rdp'"),
        (("vnc", "rfb", "command", "none"), "mode_not_served", "'control' or 'view'"),
        (("vnc", "rfb", "view", "VncAuth"), "auth_not_served", "VncAuth"),
        (("\x1b[2J" + "x" * 99, "", "", ""), "unknown_channel", r"\x1b"),
    ],
)
def test_what_is_not_served_is_refused_in_words(
    names: tuple[str, str, str, str], code: str, says: str
) -> None:
    with pytest.raises(Refused) as caught:
        check_served(*names)
    assert caught.value.code == code
    assert says in caught.value.sentence
    assert len(caught.value.sentence) < 200
