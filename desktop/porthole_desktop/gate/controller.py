"""One control channel: lines of state out, and from the commander orders in."""

import asyncio
from typing import TYPE_CHECKING, Final

from porthole_contract.errors import Refused, RemoteProtocolError
from porthole_contract.stream import control
from porthole_contract.stream.channels import Mode
from porthole_desktop.gate.admission import Admission
from porthole_desktop.gate.side import Side

if TYPE_CHECKING:  # the gate makes controllers
    from porthole_desktop.gate.gate import Gate

MOST_WAITING: Final = 256 * 1024
"""Bytes that may wait for a peer that does not read; then it is let go."""
MOST_ORDERS: Final = 64
"""Orders under way at one time; more are not read until one is done."""


class Controller:
    """One open stream on the channel `control`.

    Args:
        side: the peer's side; this becomes its owner.
        admission: what it may do.
        gate: whose state it hears.
    """

    def __init__(self, side: Side, admission: Admission, gate: "Gate") -> None:
        self._side = side
        self._admission = admission
        self._gate = gate
        self._lines = control.Lines()
        self._orders: set[asyncio.Task[None]] = set()
        self._heartbeat: asyncio.TimerHandle | None = None
        self._over = False

    @property
    def observes(self) -> bool:
        """Whether it only hears."""
        return self._admission.mode is Mode.OBSERVE and not self._over

    def begin(self, rest: bytes) -> None:
        """Tell the state; `rest` is what the peer said already."""
        self._side.owner = self
        self.tell(self._gate.state())
        if rest:
            self.received(self._side, rest)

    def tell(self, news: control.News) -> None:
        """Say something; a peer that does not read is let go."""
        if self._over:
            return
        if self._side.waiting > MOST_WAITING:
            self.close("It does not read.")
            self._side.abort()
            return
        self._side.write(control.encode(news))
        if isinstance(news, control.State):
            if self._heartbeat is not None:
                self._heartbeat.cancel()
            seconds = control.HEARTBEAT.total_seconds() * 0.8
            loop = asyncio.get_running_loop()
            self._heartbeat = loop.call_later(seconds, lambda: self.tell(self._gate.state()))

    def close(self, why: str) -> None:
        """End it."""
        if self._over:
            return
        self._over = True
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        for order in self._orders:
            order.cancel()
        self._gate.leave(self)
        self._gate.say(f"Control channel {self._admission.stream} is closed: {why}")
        self._side.finish()

    def received(self, side: Side, data: bytes) -> None:
        """Lines have come."""
        try:
            for line in self._lines.feed(data):
                if self._over:
                    return
                self._order(line)
        except RemoteProtocolError as error:
            self.close(str(error))
        if len(self._orders) >= MOST_ORDERS:
            side.hold("orders")

    def writable(self, side: Side, *, can: bool) -> None:
        """Nothing to do: what may wait is bounded by `tell`."""
        del side, can

    def lost(self, side: Side) -> None:
        """The peer is gone."""
        del side
        self.close("The peer left.")

    def _order(self, line: bytes) -> None:
        if self._admission.mode is not Mode.COMMAND:
            raise RemoteProtocolError("An observer gives no orders.")
        order = control.read_order(line)
        if order is None:
            self.tell(control.Done(id=None, error="unknown_order", message="No such order."))
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(order))
        self._orders.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._orders.discard(task)
        if not self._over:
            self._side.release("orders")

    async def _carry_out(self, order: control.Order) -> None:
        try:
            match order:
                case control.SetMode():
                    self._gate.set_mode(order.stream, order.mode, self._admission)
                case control.Kick():
                    self._gate.kick(order.stream, order.reason, order.message)
                case control.StopDesktop():
                    await self._gate.supervisor.ask("stop")
                case control.StartProgram():
                    await self._gate.supervisor.ask("start", program=order.program)
        except Refused as refusal:
            self.tell(control.Done(id=order.id, error=refusal.code, message=refusal.sentence))
        else:
            self.tell(control.Done(id=order.id))
