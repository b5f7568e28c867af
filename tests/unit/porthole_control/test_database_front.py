"""The first words of PostgreSQL's protocol, as the front of the embedded one judges them."""

import struct

import pytest

from porthole_control.db.front import Turned, judge, refusal, wanted


def start(version: int = 3 << 16, **given: str) -> bytes:
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in given.items()) + b"\0"
    return struct.pack("!II", len(body) + 8, version) + body


def test_our_role_comes_to_our_database():
    judge(start(user="porthole", database="porthole", application_name="x"))
    judge(start(user="porthole"))  # whose database has the same name


@pytest.mark.parametrize(
    "message",
    [
        start(user="porthole_admin", database="porthole"),
        start(user="porthole", database="postgres"),
        start(user="porthole", database="porthole", replication="true")[:8] + b"\0",
        start(),
        start(2 << 16, user="porthole", database="porthole"),
    ],
)
def test_nobody_else_comes_in(message: bytes):
    with pytest.raises(Turned):
        judge(message)


def test_a_query_may_be_cancelled():
    message = struct.pack("!IIII", 16, 80877102, 1, 2)
    assert wanted(message) == 80877102
    judge(message)


def test_a_refusal_is_an_error_of_the_protocol():
    said = refusal("No.")
    assert said[:1] == b"E"
    assert struct.unpack("!I", said[1:5])[0] == len(said) - 1
    assert said[5:].split(b"\0")[:4] == [b"SFATAL", b"VFATAL", b"C28000", b"MNo."]
    assert said.endswith(b"\0\0")
