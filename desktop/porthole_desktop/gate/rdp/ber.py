"""Tag, length, value, as BER and DER write them; tags of one byte or two."""

from porthole_desktop.gate.rdp.reader import Reader

SEQUENCE = b"\x30"
INTEGER = b"\x02"
OCTETS = b"\x04"
TEXT = b"\x0c"
_LONG_TAG = 0x1F
_LONG = 0x80
_MOST_LENGTH_BYTES = 3


def context(number: int) -> bytes:
    """Return the tag [number], constructed."""
    return bytes((0xA0 | number,))


def read(reader: Reader) -> tuple[bytes, Reader]:
    """Read one; return its tag and a reader of its value."""
    tag = reader.take(1)
    if tag[0] & _LONG_TAG == _LONG_TAG:
        tag += reader.take(1)
    length = reader.u8()
    if length & _LONG:
        count = length & 0x7F
        if not 1 <= count <= _MOST_LENGTH_BYTES:
            raise reader.fault(f"{reader.name} has a length of {count} bytes.")
        length = int.from_bytes(reader.take(count), "big")
    return tag, reader.part(length)


def expect(reader: Reader, tag: bytes) -> Reader:
    """Read one that has to have this tag; return a reader of its value."""
    found, value = read(reader)
    if found != tag:
        raise reader.fault(f"{reader.name} has {found.hex()} where {tag.hex()} has to be.")
    return value


def write(tag: bytes, value: bytes) -> bytes:
    """Return one."""
    length = len(value)
    if length < _LONG:
        return tag + bytes((length,)) + value
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return tag + bytes((_LONG | len(octets),)) + octets + value


def integer(number: int) -> bytes:
    """Return a whole number that is not negative."""
    return write(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))
