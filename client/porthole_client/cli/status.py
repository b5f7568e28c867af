"""`porthole status`: what runs on this machine, and whether it is well."""

from typing import Any

import httpx
import typer

from porthole_client.cli.desk import Desk, command
from porthole_client.cli.exits import Exit
from porthole_client.cli.output import Form, ago
from porthole_client.cli.up import plan, record
from porthole_client.home import Home, read_json


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    command(app, "status")(_status)


def _status(desk: Desk) -> None:
    """Show what runs on this machine, and whether it is ready.

    Exit code 5 says that nothing runs there.
    """
    found = status_of(desk.local)
    if desk.out.form is Form.JSON:
        desk.out.json(found)
    elif not found["running"]:
        desk.out.note(f"Nothing runs with the home {desk.local.path}. Start it with `porthole up`.")
    else:
        print(f"{found['url'] or 'starting'}  {'ready' if found['ready'] else 'not ready'}")
        rows = [
            [
                part["name"],
                str(part["pid"] or "-"),
                part["state"],
                part["age"],
                str(part["restarts"]),
            ]
            for part in found["parts"]
        ]
        desk.out.table(["part", "pid", "state", "age", "restarts"], rows)
    if not found["running"]:
        raise typer.Exit(Exit.UNREACHABLE)


def status_of(home: Home) -> dict[str, Any]:
    """Return what runs with a home: `running`, `ready`, `url`, `parts[]`."""
    last = record.read(home)
    parts = []
    if last is not None and last.up.is_alive():
        parts = [_part(part) for part in (record.PartRecord("up", last.up), *last.parts)]
    url, ready = None, False
    if any(part["name"] == plan.CONTROL_PLANE for part in parts):
        url = read_json(home.server).get("url")
        ready = isinstance(url, str) and _is_ready(url)
    elif parts:  # an agent of a Porthole elsewhere
        url = read_json(home.agent / "identity.json").get("url")
        ready = all(part["state"] == "running" for part in parts)
    return {
        "home": str(home.path),
        "running": bool(parts),
        "ready": ready,
        "url": url,
        "parts": parts,
    }


def _part(part: record.PartRecord) -> dict[str, Any]:
    alive = part.process is not None and part.process.is_alive()
    started = part.process.started_at() if alive and part.process else None
    return {
        "name": part.name,
        "pid": part.process.pid if alive and part.process else None,
        "state": "running" if alive else "restarting",
        "started_at": started.isoformat() if started else None,
        "age": ago(started),
        "restarts": part.restarts,
    }


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.HTTPError:
        return False
