"""A change that arrives once more, late, does not undo the change that came after it.

A replica that stood still goes on with what it had been asked, when whoever asked has long had
their answer from another one, and has changed their mind since.
"""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from porthole_contract.link.reports import TemplateOffered
from porthole_contract.session import Protocol
from porthole_contract.template import SessionTemplateSpec
from tests.support.control_plane import ControlPlane

_SPEC = {"title": "First", "packages": ["xterm"]}


@pytest.fixture
async def admin(control_plane: ControlPlane) -> httpx.AsyncClient:
    rdp = SessionTemplateSpec(title="RDP desktop", protocols=(Protocol.RDP,))
    desktop = SessionTemplateSpec(title="Desktop")
    offered = {"desktop": desktop, "rdp": rdp}
    await control_plane.agent(
        templates=[TemplateOffered(name=name, spec=spec) for name, spec in offered.items()]
    )
    return control_plane.admin


async def changed_late(
    admin: httpx.AsyncClient, method: str, path: str, first: dict[str, Any], then: dict[str, Any]
) -> dict[str, Any]:
    """Change a thing, change it again, and have the first change arrive once more."""
    key = {"Idempotency-Key": str(uuid4())}
    done = await admin.request(method, path, json=first, headers=key)
    assert done.is_success, done.text
    other = {"Idempotency-Key": str(uuid4())}
    assert (await admin.request(method, path, json=then, headers=other)).is_success
    late = await admin.request(method, path, json=first, headers=key)
    assert (late.status_code, late.json()) == (done.status_code, done.json())
    assert late.headers.get("etag") == done.headers.get("etag")
    reused = await admin.request(method, path, json=then, headers=key)
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")
    now = await admin.get(path)
    assert now.is_success, now.text
    shown: dict[str, Any] = now.json()
    return shown


async def test_of_a_session(admin: httpx.AsyncClient):
    made = (await admin.post("/api/v1/sessions", json={"template": "desktop"})).json()
    path = f"/api/v1/sessions/{made['id']}"
    labels = [{"labels": {"mark": mark}} for mark in ("1", "2")]
    assert (await changed_late(admin, "PATCH", path, *labels))["labels"]["mark"] == "2"


async def test_with_an_etag(admin: httpx.AsyncClient):
    made = await admin.post("/api/v1/sessions", json={"template": "desktop"})
    path = f"/api/v1/sessions/{made.json()['id']}"
    headers = {"Idempotency-Key": str(uuid4()), "If-Match": made.headers["etag"]}
    asked = {"labels": {"mark": "1"}}
    answers = [await admin.patch(path, json=asked, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    stale = {**headers, "Idempotency-Key": str(uuid4())}
    refused = [await admin.patch(path, json=asked, headers=stale) for _ in range(2)]
    assert [answer.status_code for answer in refused] == [412, 412]


async def test_of_an_agent(admin: httpx.AsyncClient):
    (agent,) = (await admin.get("/api/v1/agents")).json()["items"]
    path = f"/api/v1/agents/{agent['id']}"
    drained = await changed_late(admin, "PATCH", path, {"draining": True}, {"draining": False})
    assert drained["state"] == "enrolled"


async def test_of_a_home(admin: httpx.AsyncClient):
    asked = {"template": "desktop", "home": "work"}
    made = (await admin.post("/api/v1/sessions", json=asked)).json()
    path = f"/api/v1/homes/{made['home_id']}"
    named = await changed_late(admin, "PATCH", path, {"name": "first"}, {"name": "then"})
    assert named["name"] == "then"


async def test_of_a_template(admin: httpx.AsyncClient):
    path = "/api/v1/templates/mine"
    titles = [{"spec": {**_SPEC, "title": title}} for title in ("First", "Then")]
    shown = await changed_late(admin, "PUT", path, *titles)
    assert (shown["spec"]["title"], shown["revision"]) == ("Then", 2)


async def test_of_a_user(control_plane: ControlPlane, admin: httpx.AsyncClient):
    names = [{"kubernetes_username": name} for name in ("bob@one", "bob@two")]
    key = {"Idempotency-Key": str(uuid4())}
    async with control_plane.user("bob"):
        for asked, headers in ((names[0], key), (names[1], {}), (names[0], key)):
            answer = await admin.patch("/api/v1/users/bob", json=asked, headers=headers)
            assert answer.is_success, answer.text
        users = (await admin.get("/api/v1/users")).json()["items"]
    (bob,) = [user for user in users if user["name"] == "bob"]
    assert bob["kubernetes_username"] == "bob@two"


async def test_of_an_rdp_server(admin: httpx.AsyncClient):
    made = (await admin.post("/api/v1/rdp/servers", json={"name": "office"})).json()
    path = f"/api/v1/rdp/servers/{made['server_id']}"
    named = await changed_late(admin, "PUT", path, {"name": "first"}, {"name": "then"})
    assert named["name"] == "then"
    sizes = [{"resolution": size} for size in ("1280x720", "1920x1080")]
    shown = await changed_late(admin, "PUT", f"{path}/configuration", *sizes)
    assert shown["resolution"] == "1920x1080"


async def test_of_what_an_rdp_server_does(admin: httpx.AsyncClient):
    """A start that comes late does not start what was stopped since."""
    made = (await admin.post("/api/v1/rdp/servers", json={"name": "office"})).json()
    path = f"/api/v1/rdp/servers/{made['server_id']}"
    start, stop = ({"Idempotency-Key": str(uuid4())} for _ in range(2))
    for action, key in (("start", start), ("stop", stop), ("start", start)):
        answer = await admin.post(f"{path}/{action}", params={"wait": 0}, headers=key)
        assert answer.is_success, answer.text
    assert (await admin.get(path)).json()["status"] in {"stopping", "stopped"}
