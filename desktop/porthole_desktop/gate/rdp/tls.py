"""One end of TLS inside a stream: bytes in, bytes out."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from porthole_contract.errors import RemoteProtocolError

_CHUNK: Final = 65536


class Tls:
    """One end of one conversation.

    Args:
        context: how it is spoken.
        serves: whether this is the server's end.
        fault: what to raise when the other end breaks it.
    """

    def __init__(
        self, context: ssl.SSLContext, *, serves: bool, fault: type[RemoteProtocolError]
    ) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._fault = fault
        self.shown = context.wrap_bio(self._in, self._out, server_side=serves)
        """What the other end has shown; of use when the handshake is `done`."""
        self.done = False

    def said(self) -> bytes:
        """Return what is to be sent now; it is said by that."""
        return self._out.read()

    def feed(self, data: bytes) -> bytes:
        """Take what the other end says; return what it means. `said` may have an answer.

        Raises:
            RemoteProtocolError: it is not TLS as we speak it; `said` has the last words.
        """
        self._in.write(data)
        plain: list[bytes] = []
        try:
            if not self.done:
                self.shown.do_handshake()
                self.done = True
            while part := self.shown.read(_CHUNK):
                plain.append(part)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass  # there is no more, for now or for good; then the stream is closed as well
        except ssl.SSLError as error:
            raise self._fault(f"TLS inside the stream fails: {error.reason or error}.") from None
        return b"".join(plain)

    def wrap(self, pieces: Iterable[bytes]) -> bytes:
        """Return the bytes that say `pieces`.

        Raises:
            RemoteProtocolError: the other end has broken it, or ended it.
        """
        data = b"".join(pieces)
        try:
            if data:
                self.shown.write(data)
        except ssl.SSLError as error:
            raise self._fault(f"TLS inside the stream fails: {error.reason or error}.") from None
        return self._out.read()


def native_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return how TLS is spoken with programs that are not ours: 1.2 is what many of them have.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: they are no certificate and key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.load_cert_chain(certificate, key)
    return context
