"""A TLS socket that one thread may read while another writes."""

import select
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")

_LONGEST_LOOK: Final = 0.5  # seconds


class TakingTurns(ssl.SSLSocket):
    """A TLS socket on which reading and writing take turns.

    OpenSSL's connections are one thread's: one that writes while another reads what TLS itself
    says (the session tickets that come right after the handshake, for one) may lose what it
    writes, and then both wait for ever. So OpenSSL is only ever asked for what can be done at
    once, by one thread at a time, and whoever has to wait does so outside.

    Python makes these where a context's `sslsocket_class` says so.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make one; a context does."""
        made = super().__new__(cls, *args, **kwargs)
        made._turn = threading.Lock()
        made._limit = None
        return made

    _turn: threading.Lock
    _limit: float | None

    def settimeout(self, value: float | None, /) -> None:
        """Say how long a call may take, in seconds; None is for ever."""
        self._limit = value
        super().settimeout(value)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Return bytes as soon as there are some; none at the end.

        Raises:
            TimeoutError: there were none in time.
        """
        receive = super().recv
        return self._in_turn(lambda: receive(buflen, flags))

    def send(self, data: Any, flags: int = 0) -> int:
        """Send some of the data, and return how many bytes that were.

        Raises:
            TimeoutError: none could be sent in time.
        """
        send = super().send
        return self._in_turn(lambda: send(data, flags))

    def _in_turn(self, what: Callable[[], T]) -> T:
        until = None if self._limit is None else time.monotonic() + self._limit
        while True:
            with self._turn:
                self.setblocking(False)
                try:
                    return what()
                except ssl.SSLWantReadError:
                    waits_for = select.POLLIN
                except ssl.SSLWantWriteError:
                    waits_for = select.POLLOUT
            self._wait(waits_for, until)

    def _wait(self, what: int, until: float | None) -> None:
        """Wait for a while: what one waits for the other may have taken, in its turn."""
        left = _LONGEST_LOOK if until is None else min(until - time.monotonic(), _LONGEST_LOOK)
        if left <= 0:
            raise TimeoutError("timed out")
        looked = select.poll()
        looked.register(self, what)
        looked.poll(left * 1000)
