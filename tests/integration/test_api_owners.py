"""What was made in clusters, and under whom it is listed here."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from porthole_contract.link.reports import HomeObserved, Origin
from porthole_contract.names import home_id
from tests.support.control_plane import ControlPlane, observed, spec
from tests.support.postgres import TestDatabase
from tests.support.served import served

SESSIONS = "/api/v1/sessions"
USERS = "/api/v1/users"
THERE = "ada@cluster.example"


def made_there(owner: str = THERE) -> dict[str, Any]:
    return {"id": str(uuid4()), "name": "k", "owner": owner, "order": 0, "desired": "Running"}


def seen(session: dict[str, Any], **changes: Any) -> Any:
    return observed(session, origin=Origin.KUBECTL, spec=spec(session["owner"]), **changes)


async def map_to(control_plane: ControlPlane, user: str, username: str | None) -> httpx.Response:
    body = {"kubernetes_username": username}
    return await control_plane.admin.patch(f"{USERS}/{user}", json=body)


async def names(client: httpx.AsyncClient, path: str = SESSIONS) -> list[str]:
    return [one["name"] for one in (await client.get(path)).raise_for_status().json()["items"]]


async def test_who_is_mapped_has_what_was_made_for_them_there(control_plane: ControlPlane):
    agent = await control_plane.agent()
    async with control_plane.user("ada") as ada:
        mapped = await map_to(control_plane, "ada", THERE)
        assert (mapped.status_code, mapped.json()["kubernetes_username"]) == (200, THERE)
        session = made_there()
        await agent.see(seen(session))
        (listed,) = (await ada.get(SESSIONS)).json()["items"]
        assert (listed["owner"], listed["foreign_owner"]) == ("ada", None)
        assert (listed["spec"]["owner"], listed["origin"]) == (THERE, "kubectl")
        assert "Foreign" not in {condition["type"] for condition in listed["conditions"]}
        assert await names(control_plane.admin) == []
        # To its agent it belongs to whom it has always belonged.
        path = f"{SESSIONS}/{session['id']}"
        asleep = await ada.patch(path, json={"desired": "Hibernated"})
        assert asleep.status_code == 202
        (claimed,) = await agent.obey()
        assert (claimed.payload["owner"], claimed.payload["spec"]["owner"]) == (THERE, THERE)
        assert (await ada.delete(path)).status_code == 202
        assert [one.kind for one in await agent.obey()] == ["DeleteSession"]


async def test_a_mapping_takes_effect_at_once_and_so_does_its_end(control_plane: ControlPlane):
    agent = await control_plane.agent()
    session = made_there()
    await agent.see(seen(session))
    (foreign,) = (await control_plane.admin.get(SESSIONS)).json()["items"]
    assert (foreign["owner"], foreign["foreign_owner"]) == ("admin", THERE)
    async with control_plane.user("ada") as ada, control_plane.user("bob") as bob:
        assert await names(ada) == []
        await map_to(control_plane, "ada", THERE)
        assert (await names(ada), await names(control_plane.admin)) == (["k"], [])
        story = (await ada.get(f"{SESSIONS}/{session['id']}/events")).json()["items"]
        assert f"belongs to '{THERE}'" in story[-1]["message"]
        # Somebody else is called so now, and what is reported meanwhile changes nothing.
        await map_to(control_plane, "ada", "another@cluster.example")
        await map_to(control_plane, "bob", THERE)
        await agent.see(seen(session, status={"viewers": 1}))
        assert (await names(ada), await names(bob)) == ([], ["k"])
        await map_to(control_plane, "bob", None)
        await agent.inventory(seen(session))
        assert (await names(bob), await names(control_plane.admin)) == ([], ["k"])


async def test_a_name_is_not_guessed_for_whom_it_was_said(control_plane: ControlPlane):
    agent = await control_plane.agent()
    async with control_plane.user("ada") as ada:
        mine = (await ada.post(SESSIONS, json={"template": "desktop", "name": "mine"})).json()
        await agent.run(mine)
        # By her own name she may be reported for: the agent was given a session of hers.
        await agent.see(seen(made_there("ada") | {"name": "by-name"}))
        assert await names(ada) == ["by-name", "mine"]
        await map_to(control_plane, "ada", THERE)
        await agent.see(seen(made_there("ada") | {"name": "anothers"}))
        assert await names(ada) == ["mine"], "in clusters, ada is somebody else"
        assert sorted(await names(control_plane.admin)) == ["anothers", "by-name"]
        # What we made carries our own names, in a restored copy too.
        await agent.see(observed({**made_there("ada"), "name": "ours"}, spec=spec("ada")))
        assert sorted(await names(ada)) == ["mine", "ours"]
        # And nobody gets what we made for another by being called so there.
        async with control_plane.user("bob"):
            await map_to(control_plane, "bob", "ada")
            await agent.see(observed({**made_there("ada"), "name": "hers"}, spec=spec("ada")))
        assert sorted(await names(ada)) == ["hers", "mine", "ours"]


async def test_homes_that_were_made_there_follow(control_plane: ControlPlane):
    agent = await control_plane.agent()
    home = HomeObserved(home=home_id(uuid4(), THERE, "work"), owner=THERE, name="work", size=1)
    ours = HomeObserved(home=UUID(int=7 << 76 | 2 << 62), owner=THERE, name="ours", size=1)
    await agent.see_homes(home, ours)
    assert sorted(await names(control_plane.admin, "/api/v1/homes")) == ["ours", "work"]
    async with control_plane.user("ada") as ada:
        await ada.post(SESSIONS, json={"template": "desktop", "home": "work"})
        await map_to(control_plane, "ada", THERE)
        await agent.see_homes(home, ours)
        found = await names(ada, "/api/v1/homes")
        assert sorted(found) == sorted(["work", f"recovered-{home.home.hex}"])
        await map_to(control_plane, "ada", None)
        await agent.see_homes(home, ours)
        assert await names(ada, "/api/v1/homes") == ["work"]
        assert sorted(await names(control_plane.admin, "/api/v1/homes")) == ["ours", "work"]


async def test_a_name_in_clusters_belongs_to_one_user(control_plane: ControlPlane):
    async with control_plane.user("ada") as ada, control_plane.user("bob"):
        assert (await map_to(control_plane, "ada", THERE)).status_code == 200
        taken = await map_to(control_plane, "bob", THERE)
        assert (taken.status_code, taken.json()["code"]) == (409, "kubernetes_username_taken")
        again = await map_to(control_plane, "ada", THERE)
        assert again.status_code == 200
        none = await map_to(control_plane, "nobody", "x")
        assert (none.status_code, none.json()["code"]) == (404, "not_found")
        own = await ada.patch(f"{USERS}/ada", json={"kubernetes_username": "root"})
        assert (own.status_code, own.json()["code"]) == (403, "forbidden")
        nothing = await control_plane.admin.patch(f"{USERS}/ada", json={})
        assert nothing.json()["kubernetes_username"] == THERE
    listed = (await control_plane.admin.get(USERS)).json()["items"]
    assert {one["name"]: one["kubernetes_username"] for one in listed} == {
        "admin": None,
        "ada": THERE,
        "bob": None,
    }


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\\b", "a\x00b", "x" * 254, "\u202eevil", 1])
async def test_a_name_in_clusters_is_a_name(control_plane: ControlPlane, name: Any):
    answer = await map_to(control_plane, "admin", name)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    longest = await map_to(control_plane, "admin", "system:serviceaccount:ns:" + "x" * 228)
    assert longest.status_code == 200


async def test_whose_it_was_hears_that_it_is_gone_and_nothing_else(
    test_database: TestDatabase, tmp_path: Path
):
    async with served(test_database, tmp_path / "home") as one:
        control_plane = one.control_plane
        agent = await control_plane.agent()
        session = made_there()
        async with control_plane.user("ada"), control_plane.user("bob"):
            await map_to(control_plane, "ada", THERE)
            await agent.see(seen(session))
            made = await control_plane.admin.post(
                "/api/v1/tokens", json={"name": "ear", "user": "ada"}
            )
            head = {"Authorization": f"Bearer {made.json()['token']}"}
            async with (
                httpx.AsyncClient(base_url=one.url, headers=head, timeout=20) as ear,
                ear.stream("GET", "/api/v1/events") as answer,
            ):
                lines = answer.aiter_lines()
                while await anext(lines) != "event: hello":
                    pass
                body = {"kubernetes_username": None}
                await control_plane.admin.patch(f"{USERS}/ada", json=body)
                async with asyncio.timeout(20):
                    while await anext(lines) != "event: session":
                        pass
                    told = json.loads((await anext(lines)).removeprefix("data: "))
    assert told == {"id": session["id"], "gone": True}
