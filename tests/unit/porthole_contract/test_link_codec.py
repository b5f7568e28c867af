"""Text frames, there and back; and everything that is no frame."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.link import codec
from porthole_contract.link.frames import Ack, AgentData, ControlData, Goodbye, Hello, Ping
from porthole_contract.testing.builders import (
    a_command,
    a_home,
    a_result,
    an_agent_report,
    an_apply,
    an_id,
    an_inventory_part,
    an_observation,
    an_open_stream,
)

DECODERS = pytest.mark.parametrize(
    "decode", [codec.decode_from_agent, codec.decode_from_control], ids=["agent", "control"]
)
Decode = Callable[[str | bytes], Any]


def test_a_frame_of_every_report_survives() -> None:
    items = (an_observation(), a_home(), a_result(), an_agent_report(), an_inventory_part())
    frame = AgentData(seq=3, items=items)
    assert codec.decode_from_agent(codec.encode(frame)) == frame


def test_a_frame_of_commands_survives() -> None:
    frame = ControlData(seq=3, items=(a_command(1, an_apply(order=7)), an_open_stream()))
    assert codec.decode_from_control(codec.encode(frame)) == frame


def test_what_an_agent_says_the_control_plane_does_not() -> None:
    text = codec.encode(Hello(version="1.0", agent=an_id(1), instance=an_id(2), nonce="0" * 64))
    assert codec.decode_from_agent(text)
    with pytest.raises(RemoteProtocolError):
        codec.decode_from_control(text)


def test_the_items_of_one_side_are_not_those_of_the_other() -> None:
    with pytest.raises(RemoteProtocolError):
        codec.decode_from_agent(codec.encode(ControlData(seq=1, items=(a_command(),))))


def test_size_is_counted_in_bytes_on_the_wire() -> None:
    frame = Goodbye(code="x", message="日本語")
    assert codec.size_of(frame) == len(codec.encode(frame).encode())


@DECODERS
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "true",
        "0",
        '"Ping"',
        "[]",
        "{}",
        "{",
        "{'type': 'Ping'}",
        '{"type": "Ping"}',
        '{"type": null}',
        '{"type": ["Ping"], "number": 1}',
        '{"type": "Ping\\u0000", "number": 1}',
        '{"type": "ping", "number": 1}',
        '{"type": "Ping", "number": -1}',
        '{"type": "Ping", "number": 1.5}',
        '{"type": "Ping", "number": 9007199254740992}',
        '{"type": "Ping", "number": 1e400}',
        '{"type": "Ping", "number": NaN}',
        '{"type": "Ping", "number": 1} {"type": "Ping", "number": 1}',
        '{"type": "Ack", "upto": 1, "window": 4097}',
        '{"type": "Goodbye", "code": "\\ud800"}',
        '{"type": "Goodbye", "code": "\\u0000"}',
        '{"type": "Goodbye", "code": "x", "retryAfter": Infinity}',
        '{"type": "Goodbye", "code": "x", "retryAfter": -1}',
        '{"type": "Data", "seq": 0, "items": [{"type": "WantInventory"}]}',
        '{"type": "Data", "seq": 1, "items": []}',
        '{"type": "Data", "seq": 1, "items": [{"type": "Nonsense"}]}',
        '{"type": "Data", "seq": 1, "items": {"type": "WantInventory"}}',
        "[" * 100_000,
        '{"type":' * 100_000,
        "\x00",
        "\ufeff{}",
        "\ud800",
        "9" * 100_000,
    ],
)
def test_rubbish_is_refused_in_a_short_sentence(decode: Decode, text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(text)
    assert 10 < len(str(caught.value)) < 400


@DECODERS
def test_binary_frames_are_refused(decode: Decode) -> None:
    with pytest.raises(RemoteProtocolError, match="binary"):
        decode(codec.encode(Ping(number=1)).encode())


@DECODERS
@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_a_frame_that_is_too_long_is_refused(decode: Decode, letter: str) -> None:
    def goodbye(size: int) -> str:
        return f'{{"type":"Goodbye","code":"x","message":"{letter * size}"}}'

    most = (codec.LONGEST_FRAME - len(goodbye(0))) // len(letter.encode())
    assert decode(goodbye(most)).code == "x"
    with pytest.raises(RemoteProtocolError, match="are the most"):
        decode(goodbye(most + 1))


@DECODERS
def test_more_items_than_a_frame_may_have_are_refused(decode: Decode) -> None:
    item = {"type": "WantTemplate", "digest": "0" * 64}
    if decode is codec.decode_from_control:
        item = {"type": "WantInventory"}
    assert decode(json.dumps({"type": "Data", "seq": 1, "items": [item] * 256}))
    with pytest.raises(RemoteProtocolError):
        decode(json.dumps({"type": "Data", "seq": 1, "items": [item] * 257}))


@DECODERS
@given(text=st.text(st.characters(codec=None)))
def test_no_text_does_anything_else_than_be_refused(decode: Decode, text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@DECODERS
@given(
    frame=st.dictionaries(
        st.sampled_from(["type", "seq", "items", "upto", "window", "number", "code", "version"]),
        JSON | st.sampled_from(["Data", "Ack", "Ping", "Hello", "Goodbye"]),
    )
)
def test_no_json_breaks_the_reader(decode: Decode, frame: dict[str, Any]) -> None:
    try:
        read = decode(json.dumps(frame))
    except RemoteProtocolError:
        return
    assert decode(codec.encode(read)) == read


def test_a_newer_peer_may_add_fields() -> None:
    assert codec.decode_from_agent('{"type":"Ack","upto":1,"window":2,"mood":"good"}') == Ack(
        upto=1, window=2
    )


def test_a_refusal_does_not_repeat_what_was_said() -> None:
    secret = "correct-horse-battery-staple"
    with pytest.raises(RemoteProtocolError) as caught:
        codec.decode_from_agent(json.dumps({"type": "Proof", "signature": secret}))
    assert secret not in str(caught.value)
