"""The console's built files, served at `/`.

Files below `assets/` have a hash in their names and never change. Everything else is asked
for anew each time, so that a new version is seen at once. The console's own addresses live
in the fragment; a path that is no file of it leads there.
"""

from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from starlette.types import Receive, Scope, Send

from porthole_control.edge import CONSOLE_POLICY

_PAGE = "index.html"
_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8">
<title>Porthole</title><h1>The console has not been built</h1>
<p>Porthole runs, and its API is at <code>/api/v1</code>. Run <code>./porthole up</code> in the
checkout: it builds the console.</p></html>"""


class Console:
    """The built files below `root`.

    All of them are known from the start: what is asked for is looked up, never joined to a
    path, so nothing beside them can be reached.
    """

    def __init__(self, root: Path, below: str) -> None:
        self._below = below
        self._files = {
            str(file.relative_to(root)): file for file in root.rglob("*") if file.is_file()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what no route has answered."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        path = scope["path"].lstrip("/")
        if scope["method"] not in {"GET", "HEAD"} or path.startswith("api/"):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        await self._answer(path)(scope, receive, send)

    def _answer(self, path: str) -> Response:
        if _PAGE not in self._files:
            return HTMLResponse(_NOT_BUILT, 503)
        file = self._files.get(path or _PAGE)
        if file is None and f"/{path}" == self._below:
            return RedirectResponse(f"{self._below}/")  # its files have relative addresses
        if file is None:
            return RedirectResponse(f"{self._below}/#/{quote(path)}")
        caching = (
            "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
        )
        headers = {"Cache-Control": caching}
        if file.name == _PAGE:
            headers["Content-Security-Policy"] = CONSOLE_POLICY
        return FileResponse(file, headers=headers)


def add_to(app: FastAPI, root: Path, *, below: str = "") -> None:
    """Have `app` serve the files below `root` to whoever asks for anything else.

    Args:
        app: whose other routes come first.
        root: the folder of the built files.
        below: the path, without a slash at its end, under which browsers find us.
    """
    app.router.redirect_slashes = False
    app.router.default = Console(root, below)
