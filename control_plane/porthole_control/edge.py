"""The edge of the public port: what every request passes before anything else sees it.

* It gets an id, which its log lines and problems carry.
* Its Host must be a name of ours: a page on a foreign name that resolves to this machine
  (DNS rebinding) is turned away.
* Its body may have so many bytes and take so long.
* Its answer gets headers that keep browsers from doing more than the console needs.

Plain ASGI rather than Starlette's middleware class, which costs a task per request and
would break streaming.
"""

import asyncio
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from uuid import uuid4

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from porthole_control.metrics import REQUESTS
from porthole_control.problems import problem
from porthole_control.sockets import Socket
from porthole_telemetry import tracing

logger = structlog.get_logger(__name__)

_POLICY = (
    "default-src 'none'; script-src {scripts}; connect-src 'self'; img-src 'self' data: blob:;"
    " style-src 'self'; font-src 'self'; media-src 'self' blob:;"
    " worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
CONTENT_SECURITY_POLICY = _POLICY.format(scripts="'self'")
CONSOLE_POLICY = _POLICY.format(scripts="'self' 'wasm-unsafe-eval'")
"""Of the console's page alone: the viewer of RDP is WebAssembly."""

_PERMISSIONS = (
    "camera=(), geolocation=(), microphone=(self), payment=(), usb=(), clipboard-read=(self),"
    " clipboard-write=(self), fullscreen=(self)"
)
_HEADERS = (
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", _PERMISSIONS),
)
_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_MOST_HEADERS = 100
_MOST_HEADER_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be.

    Attributes:
        below: the path of the public URL, without a slash at its end; a proxy may leave it
            on what it passes on, or take it off.
        hosts: host names, without port, in lower case.
        body_bytes: the most bytes of a body.
        body_seconds: how long the body may take to arrive.
    """

    below: str
    hosts: frozenset[str]
    body_bytes: int
    body_seconds: float


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: HTTPStatus
    code: str
    sentence: str


_WRONG_HOST = _Refusal(
    HTTPStatus.MISDIRECTED_REQUEST,
    "wrong_host",
    "This server does not answer to that host name. Use the address that it printed, or add"
    " the name to PORTHOLE_ALLOWED_HOSTS.",
)
_HEADERS_TOO_LARGE = _Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too_large", "The request has too many headers."
)


def host_name(host: str) -> str:
    """Return the name in a Host header: lower case, without port, brackets or last dot."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


class Edge:
    """The outermost layer of the public application."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request or WebSocket through, or turn it away."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._take_in(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                logger.warning("socket_refused", code=refusal.code)
                socket = Socket(scope, receive, send)
                await socket.opening()
                await socket.refuse(refusal.status, refusal.code, refusal.sentence)
            return
        await self._answer(scope, receive, send, refusal)

    def _take_in(self, scope: Scope) -> _Refusal | None:
        """Give a request its id and the path that it means; return why it is turned away."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        scope["path"] = self._own_path(scope["path"])
        scope["request_id"] = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=scope["request_id"])
        return self._judge(scope, headers)

    def _own_path(self, path: str) -> str:
        """Return a path as it is without the one that we are served below."""
        below = self._limits.below
        return path[len(below) :] if below and path.startswith(f"{below}/") else path

    def _judge(self, scope: Scope, headers: dict[bytes, bytes]) -> _Refusal | None:
        if not self._answers_to(host_name(headers.get(b"host", b"").decode("latin-1"))):
            return _WRONG_HOST
        size = sum(len(name) + len(value) for name, value in scope["headers"])
        if len(scope["headers"]) > _MOST_HEADERS or size > _MOST_HEADER_BYTES:
            return _HEADERS_TOO_LARGE
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > self._limits.body_bytes:
            sentence = _too_large(self._limits)
            return _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", sentence)
        return None

    def _answers_to(self, host: str) -> bool:
        if host in self._limits.hosts:
            return True
        # An address resolves to nothing but itself, so nobody can make it lead here.
        try:
            ip_address(host)
        except ValueError:
            return False
        return True

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, refusal: _Refusal | None
    ) -> None:
        began = time.perf_counter()
        status = 0
        live = _span(scope)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(scope, message)
            await send(message)

        try:
            if refusal is None:
                with tracing.process().current(live):
                    await self._app(scope, _Body(receive, self._limits), send_with_headers)
            else:
                response = problem(Request(scope), refusal.status, refusal.code, refusal.sentence)
                await response(scope, receive, send_with_headers)
        finally:
            self._record(scope, status, time.perf_counter() - began)
            _end(live, scope, status)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        REQUESTS.labels(scope["method"], route, str(status)).observe(seconds)
        # The pattern of the route, never the path itself: paths may carry tickets.
        log = logger.debug if status < HTTPStatus.BAD_REQUEST else logger.info
        log(
            "request",
            method=scope["method"],
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )


def _span(scope: Scope) -> tracing.Live:
    """Begin the span of a request that changes something, or that belongs to somebody's trace.

    Whatever is only looked at would be most of what is collected, and tells nothing.
    """
    given = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
    changes = scope["method"] not in _LOOKS and scope["path"].startswith("/api/")
    return tracing.process().begin(
        scope["method"], given, "server", root=changes, http_method=scope["method"]
    )


def _end(live: tracing.Live, scope: Scope, status: int) -> None:
    route = getattr(scope.get("route"), "path", "other")
    error = f"It was answered with {status}." if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
    live.end(error, name=f"{scope['method']} {route}", http_route=route, http_status=status)


class _Body:
    """A request's body as it arrives, held to its limits; then the caller hanging up."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive = receive
        self._limits = limits
        self._until = asyncio.get_running_loop().time() + limits.body_seconds
        self._received = 0
        self._complete = False

    async def __call__(self) -> Message:
        """Return the next piece.

        Raises:
            HTTPException: it is too large or too slow.
        """
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            sentence = "The request's body took too long to arrive."
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, sentence) from None
        self._complete = not message.get("more_body", False)
        self._received += len(message.get("body", b""))
        if self._received > self._limits.body_bytes:
            sentence = _too_large(self._limits)
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
        return message


def _too_large(limits: Limits) -> str:
    return f"A request's body may have at most {limits.body_bytes} bytes."


def _add_headers(scope: Scope, message: Message) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS:
        headers.setdefault(name, value)
    if scope["scheme"] == "https":
        headers.setdefault("strict-transport-security", "max-age=31536000")
    if scope["path"].startswith("/api/"):
        headers.setdefault("cache-control", "no-store")
    headers["x-request-id"] = scope["request_id"]
