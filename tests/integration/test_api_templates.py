"""Templates: revisions that never change, ours and those that agents bring along."""

from porthole_contract.link.reports import TemplateOffered
from porthole_contract.template import SessionTemplateSpec
from tests.support.control_plane import ControlPlane, observed

TEMPLATES = "/api/v1/templates"


async def test_revisions_are_pinned(control_plane: ControlPlane):
    agent = await control_plane.agent()
    body = {"name": "mine", "spec": {"title": "One", "packages": ["xterm"]}}
    made = await control_plane.admin.post(TEMPLATES, json=body)
    assert (made.status_code, made.json()["revision"]) == (201, 1)
    session = (await control_plane.admin.post("/api/v1/sessions", json={"template": "mine"})).json()
    changed = await control_plane.admin.put(f"{TEMPLATES}/mine", json={"spec": {"title": "Two"}})
    assert (changed.status_code, changed.json()["revision"]) == (200, 2)
    same = await control_plane.admin.put(f"{TEMPLATES}/mine", json={"spec": {"title": "Two"}})
    assert same.json()["revision"] == 2
    (claimed,) = await agent.claim()
    assert claimed.payload["template"]["revision"] == 1
    assert claimed.payload["template"]["digest"] == made.json()["digest"]
    older = await control_plane.admin.post("/api/v1/sessions", json={"template": "mine@1"})
    assert older.json()["template_revision"] == 1
    none = await control_plane.admin.post("/api/v1/sessions", json={"template": "mine@9"})
    assert none.status_code == 404
    assert (await control_plane.admin.delete(f"{TEMPLATES}/mine")).status_code == 204
    assert (await control_plane.admin.get(f"{TEMPLATES}/mine")).status_code == 404
    await agent.finish(claimed)
    await agent.see(observed(session))
    await control_plane.until(f"/api/v1/sessions/{session['id']}", phase="Running")
    again = await control_plane.admin.post(TEMPLATES, json=body)
    assert (again.status_code, again.json()["revision"]) == (201, 3)


async def test_a_name_is_taken_once(control_plane: ControlPlane):
    body = {"name": "mine", "spec": {"title": "One"}}
    assert (await control_plane.admin.post(TEMPLATES, json=body)).status_code == 201
    taken = await control_plane.admin.post(TEMPLATES, json=body)
    assert (taken.status_code, taken.json()["code"]) == (409, "template_exists")


async def test_two_writers_do_not_overwrite_one_another(control_plane: ControlPlane):
    await control_plane.admin.post(TEMPLATES, json={"name": "mine", "spec": {"title": "One"}})
    tag = (await control_plane.admin.get(f"{TEMPLATES}/mine")).headers["etag"]
    for title, status in (("Two", 200), ("Three", 412)):
        answer = await control_plane.admin.put(
            f"{TEMPLATES}/mine", json={"spec": {"title": title}}, headers={"If-Match": tag}
        )
        assert answer.status_code == status


async def test_templates_of_agents_are_on_offer_with_the_reason_if_not(
    control_plane: ControlPlane,
):
    spec = SessionTemplateSpec(title="Browser")
    agent = await control_plane.agent(
        templates=[
            TemplateOffered(
                name="browser", spec=spec, available=False, message="Chromium is not installed."
            )
        ]
    )
    (listed,) = (await control_plane.admin.get(TEMPLATES)).json()["items"]
    assert (listed["source"], listed["available"]) == ("agent", False)
    assert listed["message"] == "Chromium is not installed."
    made = (await control_plane.admin.post("/api/v1/sessions", json={"template": "browser"})).json()
    assert (made["reason"], made["message"]) == (
        "TemplateNotOffered",
        "Chromium is not installed.",
    )
    await agent.describe(templates=[TemplateOffered(name="browser", spec=spec)])
    await control_plane.until(f"/api/v1/sessions/{made['id']}", agent="one")
    await agent.describe(
        templates=[TemplateOffered(name="browser", spec=SessionTemplateSpec(title="Browser 2"))]
    )
    (listed,) = (await control_plane.admin.get(TEMPLATES)).json()["items"]
    assert (listed["title"], listed["revision"]) == ("Browser 2", 2)
    await agent.describe(templates=[])
    assert (await control_plane.admin.get(TEMPLATES)).json()["items"] == []


async def test_ours_is_preferred_to_an_agents(control_plane: ControlPlane):
    await control_plane.agent()
    body = {"name": "desktop", "spec": {"title": "Our desktop"}}
    assert (await control_plane.admin.post(TEMPLATES, json=body)).status_code == 201
    (listed,) = (await control_plane.admin.get(TEMPLATES)).json()["items"]
    assert (listed["source"], listed["title"]) == ("api", "Our desktop")


async def test_what_cannot_be_kept_is_refused(control_plane: ControlPlane):
    deep: dict[str, object] = {}
    for _ in range(100):
        deep = {"a": deep}
    for pod in ({"a": "\x00"}, {"\x00": 1}, {"a": "\ud800"}, deep):
        answer = await control_plane.admin.post(
            TEMPLATES,
            content=__import__("json").dumps({"name": "odd", "spec": {"title": "Odd", "pod": pod}}),
            headers={"Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), pod
    for name in ("", "A", "a_b", "-a", "a-", "a" * 53, "../x", "ä", "a\n"):
        answer = await control_plane.admin.post(
            TEMPLATES, json={"name": name, "spec": {"title": "Odd"}}
        )
        assert answer.status_code == 422, name
