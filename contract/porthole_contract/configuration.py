"""What a session's two programs are told, as `desktop/README.md` shows it.

Every runtime writes these two files; only addresses and users differ between them.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from porthole_contract.effective import Effective
from porthole_contract.keyboard import DEFAULT_KEYBOARD
from porthole_contract.names import slug
from porthole_contract.session import Protocol, SessionSpec
from porthole_contract.stream.channels import DESKTOPS, Channel
from porthole_contract.stream.grant import Issuer
from porthole_contract.template import ClipboardRules, FileRules

FILES_UNUSED: Final = timedelta(seconds=60)
"""After so long without use, the files of a desktop that does not run are let go of."""
FILES_LONGEST: Final = timedelta(hours=6)
"""The longest that they are held at all; whoever goes on is served by the next."""


def hostname(name: str, spec: SessionSpec) -> str:
    """Return what the desktop calls itself: its home's name, so that it stays the same.

    Programs that lock their files by host and pid (browsers do) would take a new name for
    another machine, and what was left of a killed one for somebody who is still there.
    """
    return slug(spec.home) if spec.home is not None else name


def supervisor_config(
    title: str, effective: Effective, *, gate_uid: int, stop_seconds: int
) -> dict[str, Any]:
    """Return the supervisor's `config.json`; `gate_uid` may speak on its socket."""
    return {
        "version": 1,
        "title": title,
        "display": effective.display.to_dict(),
        "keyboard": effective.keyboard,
        "locale": effective.locale,
        "timezone": effective.timezone,
        "env": [variable.to_dict() for variable in effective.env],
        "start": effective.start,
        "programs": [program.to_dict() for program in effective.programs],
        "protocols": [str(protocol) for protocol in effective.protocols],
        "sockets": "/run/porthole",
        "gate_uid": gate_uid,
        "stop_seconds": stop_seconds,
    }


def shelf_config(*, gate_uid: int) -> dict[str, Any]:
    """Return the supervisor's `config.json` while a desktop does not run and its files are used."""
    return {
        "version": 1,
        "files_seconds": int(FILES_UNUSED.total_seconds()),
        "sockets": "/run/porthole",
        "gate_uid": gate_uid,
        "stop_seconds": 1,
    }


def gate_config(
    session: UUID,
    fingerprint: str | None,
    issuers: Iterable[Issuer],
    *,
    listen: str,
    health: str,
    desktop_uid: int,
    protocols: Iterable[str] = (Protocol.VNC,),
    files: FileRules | None = None,
    clipboard: ClipboardRules | None = None,
    keyboard: str = DEFAULT_KEYBOARD,
    traceparent: str | None = None,
) -> dict[str, Any]:
    """Return the gate's `config.json`.

    `desktop_uid` must own the desktop's sockets; `protocols` is what it speaks (nothing: it does
    not run, and only its files are served); `files` and
    `clipboard` are which way those may go; `keyboard` is the desktop's layout; `traceparent` is
    what its start is a part of.
    """
    config: dict[str, Any] = {
        "version": 1,
        "session": str(session),
        "fingerprint": fingerprint,
        "listen": listen,
        "health": health,
        "certificate": "/run/gate-config/cert.pem",
        "key": "/run/gate-config/key.pem",
        "rfb": "/run/porthole/rfb.sock",
        "supervisor": "/run/porthole/supervisor.sock",
        "desktop_uid": desktop_uid,
        "issuers": [issuer.to_dict() for issuer in issuers],
        "limits": {},
    }
    # Left out where nothing is said: a gate of the version before does not know them.
    screens = [str(channel) for protocol in protocols for channel in DESKTOPS[protocol]]
    if screens != [Channel.VNC]:
        config["screens"] = screens
    if files is not None and files != FileRules():
        config["files"] = {"upload": files.upload, "download": files.download}
    if clipboard is not None and clipboard != ClipboardRules():
        config["clipboard"] = {
            "upload": clipboard.upload,
            "download": clipboard.download,
            "most": clipboard.most,
        }
    if Channel.RDP in screens and keyboard != DEFAULT_KEYBOARD:
        config["keyboard"] = keyboard
    return config if traceparent is None else {**config, "traceparent": traceparent}
