"""uvicorn's HTTP protocol, held to limits before a request is whole.

uvicorn takes in the head of a request however long it is and however long it takes, and
puts its pieces together in a way that costs more the longer it gets: one connection could
keep the whole process busy. What is different here:

* A head (request line and headers) may have so many bytes, and so much time.
* So may what comes where nothing is due, such as the rest of a body that nobody wants.
* Who does not take an answer is not waited for without end.
* Connections are so few that descriptors are left for everything else.
"""

import asyncio
import json
import resource
from asyncio.transports import BaseTransport
from http import HTTPStatus
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = structlog.get_logger(__name__)

HEAD_BYTES: Final = 64 * 1024
"""Bytes of a head after which no more of it is read; a shorter one may still be refused."""
HEAD_SECONDS: Final = 10.0
"""How long a head may take, from the connection or the end of the last answer on."""
TAKEN_SECONDS: Final = 60.0
"""How long somebody may take nothing of an answer."""
_KEPT_DESCRIPTORS: Final = 256


def most_connections() -> int:
    """Return how many connections there may be at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - _KEPT_DESCRIPTORS, soft // 2)


class HttpServerProtocol(HttpToolsProtocol):
    """One connection of a client; made by uvicorn."""

    _head: int | None
    _due: asyncio.TimerHandle | None
    _taking: asyncio.TimerHandle | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = self._due = self._taking = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Take over a connection."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > most_connections():
            logger.warning("too_many_connections", connections=len(self.connections))
            self.transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the connection is gone."""
        self._cancel_due()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes."""
        if self._head is not None:
            self._head += len(data)
            if self._head > HEAD_BYTES:
                sentence = f"The head of a request may have at most {HEAD_BYTES} bytes."
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too_large", sentence)
                return
        super().data_received(data)
        if self.transport.get_protocol() is not self:
            return  # it is a WebSocket's by now
        if self._due is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()

    def on_message_begin(self) -> None:
        """Take in that a head begins; what came with its beginning is not counted."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Take in that a head is whole."""
        self._head = None
        self._cancel_due()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Take in that the client does not keep up."""
        if self._taking is None:
            self._taking = self.loop.call_later(TAKEN_SECONDS, self._give_up)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Take in that it does again."""
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None
        super().resume_writing()

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else "unknown"

    def _expect_head(self) -> None:
        if not self.transport.is_closing():
            self._due = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _cancel_due(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _too_slow(self) -> None:
        self._due = None
        if self.transport.is_closing():
            return
        if self._head is None:
            self.transport.close()
            return
        sentence = f"The head of a request may take at most {HEAD_SECONDS:.0f} seconds."
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "too_slow", sentence)

    def _give_up(self) -> None:
        logger.info("answer_not_taken", address=self._address)
        self.transport.abort()

    def _refuse(self, status: HTTPStatus, code: str, sentence: str) -> None:
        logger.warning("connection_refused", address=self._address, code=code)
        problem = {"title": status.phrase, "status": status, "code": code, "detail": sentence}
        body = json.dumps({"type": "about:blank", **problem}).encode()
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._head = None
        self._cancel_due()
        self.transport.write(head.encode() + body)
        self.transport.close()
