"""Links that sign a browser in, and opening them without showing them to other users."""

import html
import os
import sys
import webbrowser
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID


def to_session(sign_in: str, session: UUID) -> str:
    """Return the sign-in link that goes on to a session."""
    return f"{sign_in}&{urlencode({'to': f'/sessions/{session}'})}"


def open_in_browser(link: str, private: Path) -> bool:
    """Open a link in this user's browser, if there is a screen; return whether it was tried.

    A browser is told what to open by its arguments, which every user of the machine can
    read. So it is told to open a file that only this user can, and that leads on.

    Args:
        link: what to open.
        private: a directory that only this user can read.
    """
    if not _has_screen():
        return False
    page = private / "open.html"
    target = html.escape(link, quote=True)
    try:
        page.unlink(missing_ok=True)
        descriptor = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(f'<meta http-equiv="refresh" content="0; url={target}">\n')
    return webbrowser.open(page.as_uri())


def _has_screen() -> bool:
    if sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
