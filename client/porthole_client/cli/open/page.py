"""What the browser is served: one page with a viewer, on this machine alone.

GET  /, /assets/…       the page; nothing in it is secret
POST /sign-in           {"secret"} of the link, once -> {"key"}
GET  /session           with the key -> {"session", "protocols", "watch_only"}
POST /tickets           with the key, {"mode", "channel"?, "replaces"?} -> {"url", "stream"}, good
                        for one stream, for which an earlier one of this page may be ended
GET  /streams/{token}   the WebSocket of a stream: the bytes of RFB or RDP
"""

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Final
from uuid import UUID

from aiohttp import web

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open import judge, stream
from porthole_client.cli.open.desktop import Desktop
from porthole_client.cli.open.guard import Guard, Turned
from porthole_client.cli.open.tickets import Opening
from porthole_contract.stream.channels import Mode
from porthole_contract.stream.closing import websocket_close

FILES: Final = Path(__file__).resolve().parents[2] / "page"
"""The built page; `./porthole` builds it in a checkout, a wheel has it."""
_INDEX: Final = "open.html"
_ADDRESS: Final = "127.0.0.1"
_LONGEST: Final = 256 * 1024
_BODY: Final = 4096
_POLICY: Final = (
    "default-src 'none'; script-src {}; connect-src 'self'; img-src 'self' data: blob:;"
    " style-src 'self'; font-src 'self'; worker-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_PAGE_POLICY: Final = _POLICY.format("'self' 'wasm-unsafe-eval'")
"""Of the page alone: the viewer of RDP is WebAssembly."""
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY.format("'self'"),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), geolocation=(), microphone=(), clipboard-read=(self),"
        " clipboard-write=(self), fullscreen=(self)"
    ),
    "Cache-Control": "no-store",
}
_STATUSES: Final = {
    Exit.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Exit.NOT_ALLOWED: HTTPStatus.FORBIDDEN,
    Exit.CONFLICT: HTTPStatus.CONFLICT,
    Exit.UNREACHABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Exit.TIMED_OUT: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""What a failure is to the page, which tries again by itself where that may help."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """The page of one desktop, and the streams that it opens.

    Args:
        desktop: what is shown.
        guard: who may ask.
        tell: prints a line of news.
        files: the built page.
    """

    def __init__(
        self, desktop: Desktop, guard: Guard[Opening], tell: Callable[[str], None], files: Path
    ) -> None:
        self._desktop = desktop
        self._guard = guard
        self._tell = tell
        self._told = ""
        self._files = {
            str(one.relative_to(files)): one for one in files.rglob("*") if one.is_file()
        }
        self._streams: set[web.WebSocketResponse] = set()
        self._opened: set[UUID] = set()

    def application(self) -> web.Application:
        """Return what is served."""
        made = web.Application(middlewares=[self._edge], client_max_size=_BODY)
        made.add_routes(
            [
                web.post("/sign-in", self._sign_in),
                web.get("/session", self._session),
                web.post("/tickets", self._ticket),
                web.get("/streams/{token}", self._stream),
                web.get("/{path:.*}", self._file),
            ]
        )
        return made

    async def end(self) -> None:
        """End all streams with a word."""
        code, reason = 1000, b"closed: `porthole open` was ended. Run it again to come back."
        await asyncio.gather(*(one.close(code=code, message=reason) for one in self._streams))

    # What is answered

    @web.middleware
    async def _edge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        upgraded = request.path.startswith("/streams/")
        try:
            self._guard.check_origin(
                request.headers.get("Host", ""),
                request.headers.get("Origin"),
                must=upgraded or request.method not in {"GET", "HEAD"},
            )
            response = await handler(request)
        except Turned as turned:
            response = _problem(turned.status, turned.code, str(turned))
        except Failure as failure:
            status = _STATUSES.get(failure.code, HTTPStatus.UNPROCESSABLE_ENTITY)
            response = _problem(status, failure.code.name.lower(), str(failure))
        except web.HTTPException as error:
            response = _problem(HTTPStatus(error.status), "http", f"{error.reason}.")
        if not response.prepared:
            for name, value in _HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    async def _file(self, request: web.Request) -> web.StreamResponse:
        # All files are known: what is asked for is looked up, never joined to a path.
        file = self._files.get(request.match_info["path"] or _INDEX)
        if file is None:
            raise Turned(HTTPStatus.NOT_FOUND, "not_found", "There is nothing here.")
        page = {"Content-Security-Policy": _PAGE_POLICY} if file.name == _INDEX else None
        return web.FileResponse(file, headers=page)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"key": self._guard.redeem(await _field(request, "secret"))})

    async def _session(self, request: web.Request) -> web.StreamResponse:
        self._guard.check_key(request.headers.get("Authorization", ""))
        seen = await self._desktop.look()
        news = judge.news(seen)
        if news != self._told:
            self._tell(news)
            self._told = news
        return web.json_response(
            {
                "session": judge.shown(seen, self._desktop.where),
                "protocols": seen.protocols,
                "watch_only": self._desktop.watch_only,
            }
        )

    async def _ticket(self, request: web.Request) -> web.StreamResponse:
        self._guard.check_key(request.headers.get("Authorization", ""))
        asked, over = await _field(request, "mode"), await _field(request, "channel", "")
        replaces = self._known(await _field(request, "replaces", ""))
        watch = self._desktop.watch_only or asked != Mode.CONTROL
        opening = await self._desktop.ticket(Mode.VIEW if watch else Mode.CONTROL, over or None)
        opening = replace(opening, replaces=replaces)
        self._opened.add(opening.stream)
        token = self._guard.token(opening, time.monotonic())
        said = {"url": f"streams/{token}", "stream": str(opening.stream)}
        return web.json_response(said, status=HTTPStatus.CREATED)

    def _known(self, stream: str) -> UUID | None:
        if not stream:
            return None
        with suppress(ValueError):
            if (name := UUID(stream)) in self._opened:
                return name
        raise Turned(HTTPStatus.NOT_FOUND, "stream_unknown", "This page has no such stream.")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        opening = self._guard.use(request.match_info["token"], time.monotonic())
        viewer = web.WebSocketResponse(
            protocols=("binary",), heartbeat=20.0, max_msg_size=_LONGEST, compress=False
        )
        await viewer.prepare(request)
        self._streams.add(viewer)
        try:
            code, words = await stream.carry(viewer, self._desktop, opening, self._tell)
            number, reason = websocket_close(code, words)
            await viewer.close(code=number, message=reason.encode())
        finally:
            self._streams.discard(viewer)
        return viewer


async def _field(request: web.Request, name: str, otherwise: str | None = None) -> str:
    try:
        value = (await request.json()).get(name, otherwise)
    except (ValueError, AttributeError):
        value = None
    if not isinstance(value, str):
        raise Turned(HTTPStatus.BAD_REQUEST, "invalid", f"The body must have the text {name!r}.")
    return value


def _problem(status: HTTPStatus, code: str, sentence: str) -> web.Response:
    return web.json_response({"code": code, "detail": sentence}, status=status)


@asynccontextmanager
async def served(
    desktop: Desktop, tell: Callable[[str], None], files: Path = FILES
) -> AsyncIterator[str]:
    """Serve the page on a free port of this machine; yield the link to it.

    Raises:
        Failure: the page has not been built.
    """
    if not (files / _INDEX).exists():
        raise Failure(
            "The page has not been built. Run `./porthole open` in the checkout: it builds it."
        )
    with socket.socket() as listening:
        listening.bind((_ADDRESS, 0))
        port = listening.getsockname()[1]
        guard: Guard[Opening] = Guard(f"{_ADDRESS}:{port}", lambda: secrets.token_urlsafe(32))
        page = Page(desktop, guard, tell, files)
        runner = web.AppRunner(page.application(), access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            yield guard.link
        finally:
            with suppress(OSError):
                await page.end()
            await runner.cleanup()
