"""The engine below both parsers: what passes, what is kept back, in any chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_desktop.gate.faults import ViewerFault
from porthole_desktop.gate.rfb.flow import OVER, Flow, Grammar


def toy(flow: Flow) -> Grammar:
    """P n: n bytes pass; D n: n bytes are dropped; R n: they are replaced; X: a fault."""
    while True:
        kind = yield 1
        flow.keep = kind != b"D"
        if kind == b"X":
            raise ViewerFault("X is not admitted.")
        if kind == b"R":
            flow.keep = False
            (length,) = yield 1
            body = yield length
            flow.insert = b"[" + body.upper() + b"]"
        else:
            (length,) = yield 1
            yield -length
        yield OVER


def message(kind: str, body: bytes) -> bytes:
    return kind.encode() + bytes((len(body),)) + body


def passed(flow: Flow, data: bytes) -> bytes:
    return b"".join(map(bytes, flow.feed(data)))


MESSAGES = st.lists(
    st.tuples(st.sampled_from("PDR"), st.binary(min_size=1, max_size=20).map(bytes.lower))
)


@given(MESSAGES, st.lists(st.integers(1, 9)))
def test_any_chunking_lets_the_same_pass(
    messages: list[tuple[str, bytes]], sizes: list[int]
) -> None:
    data = b"".join(message(*m) for m in messages)
    expected = b""
    for kind, body in messages:
        if kind == "P":
            expected += message(kind, body)
        elif kind == "R":
            expected += b"[" + body.upper() + b"]"
    seen: list[int] = []
    flow, at, out = Flow(toy, seen.append), 0, b""
    for size in [*sizes, len(data)]:
        out += passed(flow, data[at : at + size])
        at += size
    assert out == expected
    assert seen == [len(message(*m)) for m in messages]
    assert flow.between


def test_a_body_passes_before_it_is_whole() -> None:
    flow = Flow(toy)
    assert passed(flow, b"P\x08abc") == b"P\x08abc"
    assert not flow.between
    assert passed(flow, b"de") == b"de"
    assert passed(flow, b"fghP") == b"fgh" + b"P"
    assert not flow.between


def test_nothing_that_has_not_been_judged_passes() -> None:
    flow = Flow(toy)
    assert passed(flow, b"R\x03ab") == b""
    assert passed(flow, b"c") == b"[ABC]"
    with pytest.raises(ViewerFault):
        flow.feed(b"X")


def test_large_bodies_are_not_copied() -> None:
    flow = Flow(toy)
    data = b"P\xff" + bytes(255)
    (piece,) = flow.feed(data)
    assert isinstance(piece, memoryview)
    assert piece.obj is data
