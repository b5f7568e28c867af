"""Opus (RFC 6716), by the system's libopus: samples in, packets out."""

import ctypes
from typing import Final

_LIBRARY: Final = "libopus.so.0"
_FOR_ANYTHING: Final = 2049  # OPUS_APPLICATION_AUDIO
_SET_BITRATE: Final = 4002
_LONGEST: Final = 4000
"""Bytes of a packet, as libopus recommends."""


class Missing(Exception):
    """There is no libopus here."""


class Encoder:
    """Makes packets of one stream.

    Args:
        rate: samples a second.
        channels: of which this many are interleaved.
        bits: a second, of packets.

    Raises:
        Missing: the library is not there.
    """

    def __init__(self, rate: int, channels: int, bits: int) -> None:
        try:
            self._library = ctypes.CDLL(_LIBRARY)
        except OSError:
            raise Missing(_LIBRARY) from None
        self._channels = channels
        self._packet = ctypes.create_string_buffer(_LONGEST)
        create = self._library.opus_encoder_create
        create.restype = ctypes.c_void_p
        fault = ctypes.c_int()
        encoder = create(rate, channels, _FOR_ANYTHING, ctypes.byref(fault))
        if not encoder or fault.value:
            raise Missing(f"{_LIBRARY} ({fault.value})")
        self._encoder = ctypes.c_void_p(encoder)
        self._library.opus_encoder_ctl(self._encoder, _SET_BITRATE, ctypes.c_int(bits))

    def encode(self, samples: bytes) -> bytes:
        """Return the packet of one frame: 2.5 to 60 ms of signed 16-bit samples.

        Raises:
            ValueError: libopus does not take it.
        """
        count = len(samples) // (2 * self._channels)
        size: int = self._library.opus_encode(self._encoder, samples, count, self._packet, _LONGEST)
        if size < 0:
            raise ValueError(f"libopus refused {count} samples ({size}).")
        return self._packet.raw[:size]

    def close(self) -> None:
        """Give its memory back; it is used no more."""
        self._library.opus_encoder_destroy(self._encoder)
