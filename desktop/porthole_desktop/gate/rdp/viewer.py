"""What a viewer may say to a desktop in RDP, PDU by PDU.

Keys, pointer, clipboard and the size of the screen pass only while the viewer may use the
desktop. Which keys and buttons it holds down is known here, so that they can be let go when it
may not any more. Text is told apart from keys: it goes another way.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from porthole_desktop.gate.faults import ViewerFault
from porthole_desktop.gate.people import Input
from porthole_desktop.gate.rdp import info, mcs, share
from porthole_desktop.gate.rdp import input as keys
from porthole_desktop.gate.rdp.agreed import CLIPBOARD, DYNAMIC, Agreed, Credentials, Stage
from porthole_desktop.gate.rdp.clipboard import Clipboard
from porthole_desktop.gate.rdp.connect import Size, rewrite_initial
from porthole_desktop.gate.rdp.dynamic import Dynamic
from porthole_desktop.gate.rdp.framing import Cutter, is_fast
from porthole_desktop.gate.rdp.layouts import US
from porthole_desktop.gate.rdp.reader import Reader
from porthole_desktop.gate.rdp.writing import Characters, Keys, Text

_LICENCE: Final = 0x0080
_LONGEST_LICENCE: Final = 8192
_CONTROL, _SYNCHRONIZE, _REFRESH, _SUPPRESS = 20, 31, 33, 35
_SHUTDOWN, _FONTS, _CACHED, _FRAME_SEEN = 36, 39, 43, 56
_DATA: Final = frozenset(
    {_CONTROL, _SYNCHRONIZE, _REFRESH, _SUPPRESS, _SHUTDOWN, _FONTS, _CACHED, _FRAME_SEEN, 44, 46}
)
"""Kinds of data PDUs besides input; 44 and 46 say that a cache was wrong."""


class WrongPassword(ViewerFault):
    """A viewer has not shown the password that its grant asks for."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one viewer gets.

    `most` is the largest screen it may ask for, `screen` the one that is there, which it gets if
    it only looks.
    `password` is the SHA-256 (lower hex) of the one that it has to show; None: none. `layout` is
    that of the keyboard of who does not say what theirs is.
    """

    most: Size
    screen: Size
    credentials: Credentials = field(default_factory=Credentials)
    password: str | None = None
    layout: int = US


@dataclass(slots=True)
class Passed:
    """What is to be sent: `on` to the other side, `back` to the one who spoke."""

    on: list[bytes] = field(default_factory=list)
    back: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class Said:
    """What a viewer has said: PDUs and text `on` to the desktop, in its order; PDUs `back`."""

    on: list[bytes | Text] = field(default_factory=list)
    back: list[bytes] = field(default_factory=list)


class ViewerParser:
    """Viewer to desktop.

    Args:
        agreed: shared with the other direction, as `clipboard` and `dynamic` are.
        people: told of keys and pointer.
        message: told the size of each PDU.
    """

    def __init__(
        self,
        agreed: Agreed,
        terms: Terms,
        *,
        clipboard: Clipboard,
        dynamic: Dynamic,
        people: Input,
        message: Callable[[int], None] | None = None,
    ) -> None:
        self._agreed = agreed
        self._terms = terms
        self._clipboard = clipboard
        self._dynamic = dynamic
        self._people = people
        self._message = message
        self._cutter = Cutter(ViewerFault)
        self._held = keys.Held()
        self._characters = Characters()

    @property
    def settled(self) -> bool:
        """Whether what the viewer may do now is all that is under way."""
        return self._agreed.may_use or not self._clipboard.under_way

    def feed(self, data: bytes) -> Said:
        """Take what the viewer says; return what passes.

        Raises:
            ViewerFault: it is not admitted.
        """
        passed = Said()
        for pdu in self._cutter.feed(data):
            if is_fast(pdu):
                self._fast(pdu, passed)
            elif self._agreed.stage is Stage.CONNECT:
                terms, agreed = self._terms, self._agreed
                fixed = None if agreed.may_use else terms.screen
                passed.on.append(rewrite_initial(pdu, agreed, terms.most, fixed, terms.layout))
                agreed.stage = Stage.ANSWER
            else:
                self._domain(pdu, passed)
            if self._message is not None:
                self._message(len(pdu))
        return passed

    def allow(self, *, may_use: bool) -> bytes:
        """Change what the viewer may do, from its next PDU on.

        Returns what is to be sent to the desktop now: what lets go of all that is held down, if
        it may not use the desktop any more.
        """
        lost = self._agreed.may_use and not may_use
        self._agreed.may_use = may_use
        return self._held.release(self._agreed) if lost and self._agreed.share else b""

    def _fast(self, pdu: bytes, passed: Said) -> None:
        if self._agreed.stage < Stage.SHARE:
            raise ViewerFault("Input by fast-path comes before there is a desktop.")
        self._does(pdu, keys.read_fast(pdu), keys.write_fast, passed)

    def _domain(self, pdu: bytes, passed: Said) -> None:
        agreed = self._agreed
        kind, reader = mcs.open_data(pdu, Reader(pdu, ViewerFault, "A PDU of MCS"))
        if kind == mcs.SEND:
            data = mcs.read_data(reader)
            self._is_user(data.user)
            on = self._data(data, passed)
            if on is not None:
                passed.on.append(mcs.data(mcs.SEND, data.user, data.channel, on))
            return
        if kind in {mcs.ERECT, mcs.ATTACH, mcs.JOIN}:
            if agreed.stage is not Stage.CHANNELS:
                raise ViewerFault("A viewer joins channels before it says who it is.")
            if kind == mcs.ERECT:
                reader.take(4)
            elif kind == mcs.JOIN:
                self._is_user(reader.u16_be() + mcs.FIRST_USER)
                channel = reader.u16_be()
                if channel not in {agreed.user, agreed.io_channel, *agreed.channels}:
                    raise ViewerFault(f"There is no channel {channel} to be joined.")
        elif kind & ~0x03 == mcs.DISCONNECT:
            reader.take(1)
        else:
            raise ViewerFault(f"A viewer has no PDU {kind:#04x} of MCS.")
        reader.end()
        passed.on.append(pdu)

    def _is_user(self, user: int) -> None:
        if user != self._agreed.user:
            raise ViewerFault("The viewer speaks as somebody else.")

    def _data(self, data: mcs.Data, passed: Said) -> bytes | None:
        agreed = self._agreed
        if agreed.stage is Stage.CHANNELS and data.channel == agreed.io_channel:
            said = self._info(data.body)
            agreed.stage = Stage.LICENCE
            return said
        if agreed.stage < Stage.LICENCE:
            raise ViewerFault("A viewer says who it is before all else.")
        if data.channel != agreed.io_channel:
            return self._channel(data, passed)
        if agreed.stage is Stage.LICENCE:
            reader = Reader(data.body, ViewerFault, "A PDU about licences")
            if not reader.u16() & _LICENCE or len(data.body) > _LONGEST_LICENCE:
                raise ViewerFault("Before there is a desktop, only licences are talked about.")
            return data.body
        return self._share(data, passed)

    def _info(self, body: bytes) -> bytes:
        said, wanted = info.read(body), self._terms.password
        if wanted is not None:
            shown = hashlib.sha256(said.password.encode(errors="surrogatepass")).hexdigest()
            if not hmac.compare_digest(shown, wanted):
                raise WrongPassword("The password is not the one that was given out for this.")
        return info.write(said, self._terms.credentials)

    def _channel(self, data: mcs.Data, passed: Said) -> bytes | None:
        name = self._agreed.channels.get(data.channel)
        if name is None:
            raise ViewerFault(f"There is no channel {data.channel}.")
        if name == CLIPBOARD:
            judged = self._clipboard.judge(data.body, to_desktop=True)
            self._answer(data.channel, judged.back, passed)
            return judged.on
        if name == DYNAMIC:
            judged_too = self._dynamic.judge(data.body, to_desktop=True)
            return data.body if judged_too.passes else None
        return None

    def _answer(self, channel: int, back: bytes | None, passed: Said) -> None:
        if back is not None:
            passed.back.append(mcs.data(mcs.SENT, share.SERVER_USER, channel, back))

    def _share(self, data: mcs.Data, passed: Said) -> bytes | None:
        rest = b""
        for pdu in share.read(data.body, Reader(b"", ViewerFault, "A PDU of the viewer")):
            if pdu.kind == share.CONFIRM_ACTIVE:
                share.check_confirm(pdu.body)
            elif pdu.kind != share.DATA:
                raise ViewerFault(f"A viewer has no PDU of the kind {pdu.kind}.")
            elif (kind := share.read_data(pdu.body)) == keys.INPUT:
                whole = mcs.data(mcs.SEND, data.user, data.channel, pdu.said)
                self._does(whole, keys.read_slow(pdu.body), self._slow, passed)
                continue
            elif kind not in _DATA:
                raise ViewerFault(f"A viewer has no data PDU of the kind {kind}.")
            rest += pdu.said
        return rest or None

    def _slow(self, events: Sequence[keys.Event]) -> bytes:
        return keys.write_slow(events, self._agreed)

    def _does(
        self,
        pdu: bytes,
        events: Sequence[keys.Event],
        write: Callable[[Sequence[keys.Event]], bytes],
        passed: Said,
    ) -> None:
        """Count what a person does, and pass it on if they may."""
        may_use = self._agreed.may_use
        for event in events:
            self._people.event()
            if may_use and self._held.take(event):
                self._people.used()
        if not may_use:
            return
        if not any(event.kind is keys.Kind.TEXT for event in events):
            passed.on.append(Keys(pdu))
            return
        for turn in keys.turns(events, self._characters):
            passed.on.append(turn if isinstance(turn, Text) else Keys(write(turn)))
