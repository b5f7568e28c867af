"""WebSocket frames in a stream of bytes (RFC 6455), kept as the bytes that they are."""

from collections.abc import Iterator
from dataclasses import dataclass

TEXT = 1
_CONTINUED = 0


@dataclass(frozen=True)
class Frame:
    """One frame; `whole` is all of it, header and mask included."""

    opcode: int
    whole: bytes

    @property
    def is_data(self) -> bool:
        """Whether it carries what the two ends say, and not what keeps the connection."""
        return self.opcode in {_CONTINUED, TEXT}


class Cutter:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take in bytes; yield the frames that are whole by now."""
        self._left += data
        while (length := _length(self._left)) is not None and len(self._left) >= length:
            whole, self._left = self._left[:length], self._left[length:]
            yield Frame(whole[0] & 0x0F, whole)


def _length(data: bytes) -> int | None:
    """Return the length of the frame that begins here, header included; None: not known yet."""
    if len(data) < 2:
        return None
    masked, short = data[1] & 0x80, data[1] & 0x7F
    wide = {126: 2, 127: 8}.get(short, 0)
    if len(data) < 2 + wide:
        return None
    body = int.from_bytes(data[2 : 2 + wide], "big") if wide else short
    return 2 + wide + (4 if masked else 0) + body
