"""Frames of `exec` and `files`: the same bytes as the supervisor's own, and nothing else."""

import hashlib

import pytest

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.stream import frames
from porthole_contract.stream.frames import BLOCK, Digest
from porthole_desktop.supervisor import protocol, uploads


def test_both_sides_write_the_same_bytes() -> None:
    assert frames.say("read", id=1, path="\udcff") == (
        protocol.encode(0, protocol.Kind.JSON, b'{"type": "read", "id": 1, "path": "\\udcff"}')
    )
    assert frames.carry(2, b"x") == protocol.encode(2, protocol.Kind.BYTES, b"x")
    said = frames.say("a") + frames.carry(1, b"12")
    seen = protocol.Decoder().feed(said)
    assert [frame.payload for frame in seen] == [b'{"type": "a"}', b"12"]


def test_frames_come_in_any_chunks() -> None:
    said = frames.say("a", n=1) + frames.carry(1, b"12") + frames.carry(7, b"")
    decoder = frames.Decoder()
    found = [frame for byte in said for frame in decoder.feed(bytes((byte,)))]
    assert [(one.number, one.kind) for one in found] == [(0, 1), (1, 2), (7, 2)]
    assert found[0].message() == {"type": "a", "n": 1}


@pytest.mark.parametrize("sent", [b"\0\1\0\1\0\0\1", b"\0\0\0\0\0\0\3", b"\0\0\0\0\0\0\0"])
def test_what_is_no_frame_is_refused(sent: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        frames.Decoder().feed(sent)


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_a_digest_is_made_of_blocks(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    blocks = [data[at : at + BLOCK] for at in range(0, size, BLOCK)]
    wanted = hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in blocks)).hexdigest()
    for kind in (Digest, uploads.Digest):
        made = kind()
        for at in range(0, size, 99_991):
            made.update(data[at : at + 99_991])
        assert made.hex() == wanted
