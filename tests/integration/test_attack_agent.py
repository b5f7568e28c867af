"""An agent that is let in and lies: it has its own to lose, and nobody else does."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from porthole_control import housekeeping
from porthole_control.sessions import reports
from tests.support.control_plane import ControlPlane, event, observed

SESSIONS = "/api/v1/sessions"


def invented() -> dict[str, Any]:
    name = f"x{uuid4().hex}"
    return {"id": str(uuid4()), "name": name, "owner": "admin", "order": 1, "desired": "Running"}


async def count(control_plane: ControlPlane, path: str) -> int:
    answer = await control_plane.admin.get(path, params={"limit": 200})
    return len(answer.raise_for_status().json()["items"])


async def test_it_invents_sessions_without_end(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reports, "_MOST_ADOPTED", 20)
    liar, honest = await control_plane.agent("liar"), await control_plane.agent("honest")
    lost = invented()
    for _ in range(5):
        await liar.see(*(observed(invented()) for _ in range(10)))
    assert await count(control_plane, SESSIONS) == 20
    # Whoever tells the truth is believed all the same.
    await honest.see(observed(lost))
    assert await count(control_plane, SESSIONS) == 21


async def test_it_tells_stories_without_end(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(housekeeping, "_LONGEST_STORY", 50)
    agent = await control_plane.agent()
    made = [
        (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
        for _ in range(2)
    ]
    for session in made:
        await agent.run(session)
    long, short = made
    begun = datetime.now(UTC) - timedelta(hours=1)
    for minute in range(3):
        at = begun + timedelta(minutes=minute)
        told = [event("Flood", f"{n}", at + timedelta(milliseconds=n)) for n in range(60)]
        await agent.see(observed(long, events=told))
    before = await count(control_plane, f"{SESSIONS}/{short['id']}/events")
    await housekeeping._tidy(control_plane.parts)
    story = await control_plane.admin.get(f"{SESSIONS}/{long['id']}/events?limit=200")
    items = story.json()["items"]
    assert len(items) == 50
    assert items[-1]["message"] == "59"
    assert await count(control_plane, f"{SESSIONS}/{short['id']}/events") == before
