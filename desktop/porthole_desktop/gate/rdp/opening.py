"""How a conversation in RDP begins, on both sides: up to where bytes are RDP's alone.

A browser asks by RDCleanPath and then speaks RDP without TLS; a native client asks by X.224 and
then does TLS with the gate. The desktop is asked by X.224 for TLS, and has to show the one
certificate that its supervisor has told of.
"""

import ssl
from collections.abc import Iterable
from typing import Final, Protocol

from porthole_contract.stream.closing import CloseReason
from porthole_contract.stream.pinning import is_the_gate
from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rdp import cleanpath, x224
from porthole_desktop.gate.rdp.framing import Cutter
from porthole_desktop.gate.rdp.tls import Tls

SERVER: Final = "desktop"
"""What a browser hears that it is connected to."""
_STATUSES: Final = {
    CloseReason.VIEWER_PROTOCOL: 400,
    CloseReason.DESKTOP_UNREACHABLE: 504,
    CloseReason.DESKTOP_LEFT: 502,
    CloseReason.DESKTOP_PROTOCOL: 502,
}
_FORBIDDEN: Final = 403


class ForeignDesktop(DesktopFault):
    """Who answers for the desktop is not who its supervisor has told of."""

    code = "desktop_unreachable"


class ViewerOpening(Protocol):
    """A viewer's way in.

    `asked` are the bits of the protocols that it asks for, None while it has not asked; when
    `done`, `rest` is what it has said already in RDP.
    """

    asked: int | None
    done: bool
    rest: bytes

    def feed(self, data: bytes) -> bytes:
        """Take what the viewer says while it is not `done`; return the answer."""

    def agree(self) -> bytes:
        """Return the answer to who has asked: the desktop is there."""

    def refuse(self, reason: CloseReason) -> bytes:
        """Return the answer to who is not done: there is nothing to be had."""

    def read(self, data: bytes) -> bytes:
        """Return what the viewer means; `answer` may have something for it."""

    def answer(self) -> bytes:
        """Return what has to be said to keep the way open."""

    def write(self, pieces: Iterable[bytes]) -> bytes:
        """Return the bytes that say `pieces`."""


class Browser:
    """RDCleanPath, then plain RDP: who carries the stream has encrypted it.

    Args:
        certificate: DER, of the gate.
    """

    def __init__(self, certificate: bytes) -> None:
        self.asked: int | None = None
        self.done = False
        self.rest = b""
        self._certificate = certificate
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take a part of the request.

        Raises:
            ViewerFault: it is none, or one without TLS.
        """
        self._held += data
        if self.asked is not None:
            raise ViewerFault("The viewer speaks before it was answered.")
        asked = cleanpath.read_request(self._held)
        if asked is None:
            return b""
        pdus = list(Cutter(ViewerFault).feed(asked.x224))
        if len(pdus) != 1 or len(pdus[0]) != len(asked.x224):
            raise ViewerFault("An RDCleanPath request holds one X.224 request.")
        self.rest = asked.rest
        protocols = x224.read_request(pdus[0])
        if not protocols & x224.TLS:
            raise ViewerFault("The viewer does not want TLS; there is nothing else.")
        self.asked = protocols
        return b""

    def agree(self) -> bytes:
        """Return the response; what follows is RDP."""
        self.done = True
        return cleanpath.response(x224.confirm(), self._certificate, SERVER)

    def refuse(self, reason: CloseReason) -> bytes:
        """Return the response that says no."""
        return cleanpath.failure(_STATUSES.get(reason, _FORBIDDEN))

    def read(self, data: bytes) -> bytes:
        """Return `data`."""
        return data

    def answer(self) -> bytes:
        """Return nothing."""
        return b""

    def write(self, pieces: Iterable[bytes]) -> bytes:
        """Return `pieces`."""
        return b"".join(pieces)


class Native:
    """X.224, then TLS with the gate's certificate, then RDP in it.

    Args:
        tls: the gate's end of it.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.asked: int | None = None
        self.done = False
        self.rest = b""
        self._cutter = Cutter(ViewerFault)
        self._tls = Tls(tls, serves=True, fault=ViewerFault)
        self._agreed = False

    def feed(self, data: bytes) -> bytes:
        """Take a part of the request, or of TLS.

        Raises:
            ViewerFault: it is none, or does not want TLS; `refuse` has the word for that.
        """
        if self._agreed:
            self.rest += self._tls.feed(data)
            self.done = self._tls.done
            return self._tls.said()
        for pdu in self._cutter.feed(data):
            if self.asked is not None:
                raise ViewerFault("The viewer speaks before it was answered.")
            self.asked = x224.read_request(pdu)
            if not self.asked & x224.TLS:
                raise ViewerFault("The viewer does not offer TLS; there is nothing else.")
        if self.asked is not None and not self._cutter.between:
            raise ViewerFault("The viewer speaks before it was answered.")
        return b""

    def agree(self) -> bytes:
        """Return the confirmation; what follows is TLS."""
        self._agreed = True
        return x224.confirm()

    def refuse(self, reason: CloseReason) -> bytes:
        """Return the one refusal that X.224 has, or TLS's last words."""
        del reason
        if self._agreed:
            return self._tls.said()
        wants_other = self.asked is not None and not self.asked & x224.TLS
        return x224.refusal() if wants_other else b""

    def read(self, data: bytes) -> bytes:
        """Return what is meant.

        Raises:
            ViewerFault: TLS is broken.
        """
        return self._tls.feed(data)

    def answer(self) -> bytes:
        """Return what TLS has to say by itself."""
        return self._tls.said()

    def write(self, pieces: Iterable[bytes]) -> bytes:
        """Return `pieces` in TLS."""
        return self._tls.wrap(pieces)


class DesktopOpening:
    """The gate as a client of the desktop: X.224, then TLS with the certificate that is right.

    Args:
        tls: the client's end of it.
        fingerprint: SHA-256 of the certificate's DER, lower hex.
    """

    hello: Final = x224.request()
    """What is said first."""

    def __init__(self, tls: ssl.SSLContext, fingerprint: str) -> None:
        self.done = False
        self.rest = b""
        self._fingerprint = fingerprint
        self._cutter = Cutter(DesktopFault)
        self._tls = Tls(tls, serves=False, fault=DesktopFault)
        self._confirmed = False

    def feed(self, data: bytes) -> bytes:
        """Take a part of the confirmation, or of TLS; return the answer.

        Raises:
            DesktopFault: it is none, or somebody else's.
        """
        if not self._confirmed:
            pdu = next(self._cutter.feed(data), None)
            if pdu is None:
                return b""
            x224.read_confirm(pdu)
            self._confirmed = True
            data = self._cutter.rest()
        self.rest += self._tls.feed(data)
        if self._tls.done and not self.done:
            if not is_the_gate(self._tls.shown, self._fingerprint):
                raise ForeignDesktop("The desktop shows a certificate that is not its own.")
            self.done = True
        return self._tls.said()

    def read(self, data: bytes) -> bytes:
        """Return what is meant.

        Raises:
            DesktopFault: TLS is broken.
        """
        return self._tls.feed(data)

    def answer(self) -> bytes:
        """Return what TLS has to say by itself."""
        return self._tls.said()

    def write(self, pieces: Iterable[bytes]) -> bytes:
        """Return `pieces` in TLS."""
        return self._tls.wrap(pieces)
