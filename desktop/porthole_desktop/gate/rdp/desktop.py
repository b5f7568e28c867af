"""What a desktop may say to a viewer in RDP, PDU by PDU; its pictures are sized, not decoded.

It cannot send the viewer elsewhere, nor hand it what would open the desktop again. What may not
pass to somebody who only looks is the clipboard.
"""

from collections.abc import Callable
from typing import Final

from porthole_desktop.gate.faults import DesktopFault
from porthole_desktop.gate.rdp import mcs, output, share
from porthole_desktop.gate.rdp.agreed import (
    CLIPBOARD,
    DYNAMIC,
    LARGEST_SIDE,
    Agreed,
    Stage,
)
from porthole_desktop.gate.rdp.clipboard import Clipboard
from porthole_desktop.gate.rdp.connect import rewrite_response
from porthole_desktop.gate.rdp.dynamic import Dynamic
from porthole_desktop.gate.rdp.framing import Cutter, is_fast
from porthole_desktop.gate.rdp.reader import Reader
from porthole_desktop.gate.rdp.viewer import Passed

_LICENCE: Final = 0x0080
_LONGEST_LICENCE: Final = 8192
_GRANTED: Final = frozenset({0x03, 0x04, 0xFF})
"""What ends the talk about licences: a new one, a better one, or that none is needed."""
_FONT_MAP, _SESSION_INFO = 40, 38
_DATA: Final = frozenset(
    {
        2,  # update
        20,  # control
        27,  # pointer
        31,  # synchronize
        34,  # sound
        37,  # shutdown denied
        _FONT_MAP,
        41,  # lights of the keyboard
        45,  # input method
        share.SET_ERROR,
        54,  # status
        55,  # layout of monitors
    }
)


class DesktopParser:
    """Desktop to viewer.

    Args:
        agreed: shared with the other direction, as `clipboard` and `dynamic` are.
        message: told the size of each PDU.
    """

    def __init__(
        self,
        agreed: Agreed,
        *,
        clipboard: Clipboard,
        dynamic: Dynamic,
        message: Callable[[int], None] | None = None,
    ) -> None:
        self._agreed = agreed
        self._clipboard = clipboard
        self._dynamic = dynamic
        self._message = message
        self._cutter = Cutter(DesktopFault)
        self._licensed = False

    @property
    def between(self) -> bool:
        """Whether no PDU is under way."""
        return self._cutter.between

    def feed(self, data: bytes) -> Passed:
        """Take what the desktop says; return what passes.

        Raises:
            DesktopFault: it is not admitted.
        """
        passed = Passed()
        for pdu in self._cutter.feed(data):
            if is_fast(pdu):
                if self._agreed.stage < Stage.SHARE:
                    raise DesktopFault("The desktop shows something before it is there.")
                output.check(pdu)
                passed.on.append(pdu)
            elif self._agreed.stage is Stage.ANSWER:
                passed.on.append(rewrite_response(pdu, self._agreed))
                self._agreed.stage = Stage.CHANNELS
            else:
                self._domain(pdu, passed)
            if self._message is not None:
                self._message(len(pdu))
        return passed

    def _domain(self, pdu: bytes, passed: Passed) -> None:
        agreed = self._agreed
        if agreed.stage < Stage.CHANNELS:
            raise DesktopFault("The desktop speaks before it was spoken to.")
        kind, reader = mcs.open_data(pdu, Reader(pdu, DesktopFault, "A PDU of MCS"))
        if kind == mcs.SENT:
            data = mcs.read_data(reader)
            on = self._data(data, passed)
            if on is not None:
                passed.on.append(mcs.data(mcs.SENT, data.user, data.channel, on))
            return
        if kind == mcs.ATTACHED and agreed.user == 0:
            if reader.u8():
                raise DesktopFault("The desktop lets nobody in (MCS).")
            agreed.user = reader.u16_be() + mcs.FIRST_USER
        elif kind == mcs.JOINED and agreed.stage is Stage.CHANNELS:
            if reader.u8():
                raise DesktopFault("The desktop lets nobody join a channel.")
            reader.take(4)
            if reader.left:
                reader.take(2)
        elif kind & ~0x03 == mcs.DISCONNECT:
            reader.take(1)
            agreed.parted = True
        else:
            raise DesktopFault(f"A desktop has no PDU {kind:#04x} of MCS now.")
        reader.end()
        passed.on.append(pdu)

    def _data(self, data: mcs.Data, passed: Passed) -> bytes | None:
        agreed = self._agreed
        if agreed.stage < Stage.LICENCE:
            raise DesktopFault("The desktop speaks before it knows who it speaks to.")
        if data.channel != agreed.io_channel:
            return self._channel(data, passed)
        if not self._licensed:
            return self._licence(data.body)
        return self._share(data.body)

    def _licence(self, body: bytes) -> bytes:
        reader = Reader(body, DesktopFault, "A PDU about licences")
        if not reader.u16() & _LICENCE or len(body) > _LONGEST_LICENCE:
            raise DesktopFault("Before there is a desktop, only licences are talked about.")
        reader.u16()
        self._licensed = reader.u8() in _GRANTED
        return body

    def _channel(self, data: mcs.Data, passed: Passed) -> bytes | None:
        agreed = self._agreed
        name = agreed.channels.get(data.channel)
        if name is None:
            raise DesktopFault(f"There is no channel {data.channel}.")
        on = back = None
        if name == CLIPBOARD:
            judged = self._clipboard.judge(data.body, to_desktop=False)
            on, back = judged.on, judged.back
        elif name == DYNAMIC:
            judged_too = self._dynamic.judge(data.body, to_desktop=False)
            on, back = data.body if judged_too.passes else None, judged_too.back
        if back is not None:
            passed.back.append(mcs.data(mcs.SEND, agreed.user, data.channel, back))
        return on

    def _share(self, body: bytes) -> bytes | None:
        agreed, passes = self._agreed, True
        for pdu in share.read(body, Reader(b"", DesktopFault, "A PDU of the desktop")):
            if pdu.kind == share.DEMAND_ACTIVE:
                share.read_demand(pdu.body, agreed)
                if not (0 < agreed.width <= LARGEST_SIDE and 0 < agreed.height <= LARGEST_SIDE):
                    raise DesktopFault("The desktop does not say how large it is.")
                agreed.stage = max(agreed.stage, Stage.SHARE)
            elif agreed.stage < Stage.SHARE:
                raise DesktopFault("The desktop shows something before it is there.")
            elif pdu.kind == share.DATA:
                passes = self._shows(share.read_data(pdu.body)) and passes
            elif pdu.kind != share.DEACTIVATE_ALL:
                raise DesktopFault(f"A desktop may not send a PDU of the kind {pdu.kind}.")
        return body if passes else None

    def _shows(self, kind: int) -> bool:
        if kind == _SESSION_INFO:
            return False  # its user, and what would let somebody come back without a ticket
        if kind not in _DATA:
            raise DesktopFault(f"A desktop has no data PDU of the kind {kind}.")
        if kind == _FONT_MAP:
            self._agreed.stage = Stage.ACTIVE
        return True
