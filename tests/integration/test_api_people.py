"""Tokens, scopes, signing in: each does what it is for and nothing else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from porthole_control.db.database import Database
from porthole_control.people import administrator, service
from tests.support.control_plane import BASE, ControlPlane, a_control_plane
from tests.support.postgres import TestDatabase

COOKIE_HOME = {"Origin": BASE}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer x",
        "Basic YWRtaW46YWRtaW4=",
        "Bearer pht_" + "0" * 32 + "_" + "0" * 64,
        "Bearer \udcff",
        "Bearer " + "a" * 5000,
    ],
)
async def test_who_is_not_known_is_refused(control_plane: ControlPlane, value: str):
    async with control_plane.client() as client:
        raw = value.encode("utf-8", "surrogateescape")
        answer = await client.get("/api/v1/me", headers=[(b"authorization", raw)])
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_token_is_shown_once_and_kept_as_a_hash(control_plane: ControlPlane):
    made = await control_plane.admin.post("/api/v1/tokens", json={"name": "laptop"})
    assert made.status_code == 201
    token = made.json()["token"]
    listed = (await control_plane.admin.get("/api/v1/tokens")).json()["items"]
    assert "laptop" in {one["name"] for one in listed}
    assert all("token" not in one for one in listed)
    async with control_plane.database.reading() as unit:
        rows = (await unit.connection.execute(text("SELECT tokens::text FROM tokens"))).all()
    secret = token.rpartition("_")[2]
    assert all(secret not in row[0] for row in rows)


async def test_scopes_hold(control_plane: ControlPlane):
    made = await control_plane.admin.post(
        "/api/v1/tokens", json={"name": "reader", "scopes": ["read"]}
    )
    async with control_plane.client(made.json()["token"]) as reader:
        assert (await reader.get("/api/v1/sessions")).status_code == 200
        for method, path, body in (
            ("POST", "/api/v1/sessions", {"template": "desktop"}),
            ("POST", "/api/v1/tokens", {"name": "more"}),
            ("POST", "/api/v1/templates", {"name": "x", "spec": {"title": "X"}}),
            ("POST", "/api/v1/agents/join-tokens", {"name": "x"}),
        ):
            answer = await reader.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), path


async def test_a_token_never_gives_more_than_its_maker_has(control_plane: ControlPlane):
    made = await control_plane.admin.post(
        "/api/v1/tokens", json={"name": "narrow", "scopes": ["read", "tokens"]}
    )
    async with control_plane.client(made.json()["token"]) as narrow:
        answer = await narrow.post("/api/v1/tokens", json={"name": "x", "scopes": ["sessions"]})
        assert answer.status_code == 403
        copy = await narrow.post("/api/v1/tokens", json={"name": "copy"})
        assert copy.json()["scopes"] == ["read", "tokens"]


async def test_users_are_made_by_the_administrator_and_no_more_than_users(
    control_plane: ControlPlane,
):
    async with control_plane.user("bob@example.org") as bob:
        me = (await bob.get("/api/v1/me")).json()
        assert (me["name"], me["is_admin"]) == ("bob@example.org", False)
        for answer in (
            await bob.post("/api/v1/tokens", json={"name": "x", "user": "admin"}),
            await bob.post("/api/v1/templates", json={"name": "x", "spec": {"title": "X"}}),
            await bob.post("/api/v1/agents/join-tokens", json={"name": "x"}),
            await bob.get("/api/v1/users"),
            await bob.get("/api/v1/tokens", params={"everyone": True}),
        ):
            assert answer.status_code == 403
        theirs = (await control_plane.admin.get("/api/v1/tokens")).json()["items"]
        missing = await bob.delete(f"/api/v1/tokens/{theirs[0]['id']}")
        assert missing.status_code == 404
    names = [u["name"] for u in (await control_plane.admin.get("/api/v1/users")).json()["items"]]
    assert names == ["admin", "bob@example.org"]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\\b", "a\x00b", "x" * 300, "\u202eevil"])
async def test_users_names_are_names(control_plane: ControlPlane, name: str):
    answer = await control_plane.admin.post("/api/v1/tokens", json={"name": "t", "user": name})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_revoking_takes_effect_within_two_seconds(control_plane: ControlPlane):
    made = await control_plane.admin.post("/api/v1/tokens", json={"name": "gone"})
    async with control_plane.client(made.json()["token"]) as client:
        assert (await client.get("/api/v1/me")).status_code == 200
        await control_plane.admin.delete(f"/api/v1/tokens/{made.json()['id']}")
        async with asyncio.timeout(2):
            while (await client.get("/api/v1/me")).status_code != 401:
                await asyncio.sleep(0.01)
    again = await control_plane.admin.delete(f"/api/v1/tokens/{made.json()['id']}")
    assert again.status_code == 404


async def test_what_is_taken_away_while_it_is_looked_up_is_not_remembered(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    known, going_on, authenticate = asyncio.Event(), asyncio.Event(), service.authenticate

    async def slowly(*words: Any, **more: Any) -> Any:
        principal = await authenticate(*words, **more)
        if principal.name == "eve" and not known.is_set():
            known.set()
            await going_on.wait()
        return principal

    monkeypatch.setattr(service, "authenticate", slowly)
    guard = control_plane.parts.guard
    made = (
        await control_plane.admin.post("/api/v1/tokens", json={"name": "x", "user": "eve"})
    ).json()
    async with control_plane.client(made["token"]) as eve:
        asking = asyncio.create_task(eve.get("/api/v1/sessions"))
        await known.wait()
        before = guard.revocations
        await control_plane.admin.delete(f"/api/v1/tokens/{made['id']}")
        while guard.revocations == before:
            await asyncio.sleep(0.01)
        going_on.set()
        assert (await asking).status_code == 200, "it was asked before"
        assert (await eve.get("/api/v1/sessions")).status_code == 401


async def test_a_live_list_ends_whose_right_is_taken_away_while_it_is_looked_up(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    guard, authenticate = control_plane.parts.guard, service.authenticate
    made = (await control_plane.admin.post("/api/v1/tokens", json={"name": "x"})).json()

    async def revoked_meanwhile(*words: Any, **more: Any) -> Any:
        principal = await authenticate(*words, **more)
        if str(principal.token_id) == made["id"]:
            before = guard.revocations
            await control_plane.admin.delete(f"/api/v1/tokens/{made['id']}")
            while guard.revocations == before:
                await asyncio.sleep(0.01)
        return principal

    monkeypatch.setattr(service, "authenticate", revoked_meanwhile)
    async with control_plane.client(made["token"]) as client, asyncio.timeout(5):
        await client.get("/api/v1/events")


async def test_tokens_expire(control_plane: ControlPlane):
    made = await control_plane.admin.post(
        "/api/v1/tokens", json={"name": "short", "lifetime": "0s"}
    )
    async with control_plane.client(made.json()["token"]) as client:
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_making_a_token_twice_with_one_key_shows_the_secret_once(
    control_plane: ControlPlane,
):
    key = {"Idempotency-Key": "k-1"}
    first = await control_plane.admin.post("/api/v1/tokens", json={"name": "t"}, headers=key)
    assert first.status_code == 201
    second = await control_plane.admin.post("/api/v1/tokens", json={"name": "t"}, headers=key)
    assert (second.status_code, second.json()["code"]) == (409, "already_done")


async def link(control_plane: ControlPlane) -> str:
    made = await control_plane.admin.post("/api/v1/sign-in-links")
    url = made.raise_for_status().json()["url"]
    assert url.startswith("http://127.0.0.1:8080/#/sign-in?token=")
    return str(url.rpartition("token=")[2])


async def test_a_link_leads_back_past_the_proxy_that_it_was_asked_through(
    test_database: TestDatabase, tmp_path: Path
):
    public = "https://desk.example"
    async with a_control_plane(test_database, tmp_path / "home", public_url=public) as behind:
        path = "/api/v1/sign-in-links"
        past = await behind.admin.post(path, headers={"Host": "desk.example"})
        assert past.json()["url"].startswith(f"{public}/#/sign-in?token=")
        here = await behind.admin.post(path)
        assert here.json()["url"].startswith("http://127.0.0.1:8080/#/sign-in?token=")


async def test_a_sign_in_link_works_once(control_plane: ControlPlane):
    token = await link(control_plane)
    async with control_plane.client() as browser:
        answer = await browser.post("/api/v1/sign-in", json={"token": token})
        assert (answer.status_code, answer.json()["name"]) == (200, "admin")
        cookie = answer.headers["set-cookie"].lower()
        for flag in ("httponly", "samesite=strict", "path=/"):
            assert flag in cookie
        assert (await browser.get("/api/v1/me")).status_code == 200
    async with control_plane.client() as thief:
        answer = await thief.post("/api/v1/sign-in", json={"token": token})
        assert answer.status_code == 401
        assert "used before" in answer.json()["detail"]
        assert (await thief.get("/api/v1/me")).status_code == 401


async def test_a_link_redeemed_twice_at_once_signs_one_in(control_plane: ControlPlane):
    token = await link(control_plane)

    async def redeem() -> int:
        async with control_plane.client() as browser:
            return (await browser.post("/api/v1/sign-in", json={"token": token})).status_code

    statuses = await asyncio.gather(*(redeem() for _ in range(5)))
    assert sorted(statuses) == [200, 401, 401, 401, 401]


async def test_a_cookie_counts_only_for_pages_of_ours(control_plane: ControlPlane):
    async with control_plane.client() as browser:
        await browser.post("/api/v1/sign-in", json={"token": await link(control_plane)})
        body = {"name": "x"}
        for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            answer = await browser.post("/api/v1/tokens", json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "wrong_origin")
        foreign = await browser.get("/api/v1/me", headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        good = await browser.post("/api/v1/tokens", json=body, headers=COOKIE_HOME)
        assert good.status_code == 201
    async with control_plane.client() as page:
        login = await page.post(
            "/api/v1/sign-in",
            json={"token": await link(control_plane)},
            headers={"Origin": "https://evil.example"},
        )
        assert login.status_code == 403


async def test_signing_out_ends_the_cookie(control_plane: ControlPlane):
    async with control_plane.client() as browser:
        await browser.post("/api/v1/sign-in", json={"token": await link(control_plane)})
        kept = dict(browser.cookies)
        out = await browser.post("/api/v1/sign-out", headers=COOKIE_HOME)
        assert out.status_code == 204
        browser.cookies.update(kept)
        async with asyncio.timeout(2):
            while (await browser.get("/api/v1/me")).status_code != 401:
                await asyncio.sleep(0.01)


async def test_a_cookie_is_no_token_and_a_token_no_cookie(control_plane: ControlPlane):
    async with control_plane.client() as browser:
        await browser.post("/api/v1/sign-in", json={"token": await link(control_plane)})
        ((name, cookie),) = browser.cookies.items()
    async with control_plane.client(cookie) as client:
        assert (await client.get("/api/v1/me")).status_code == 401
    made = (await control_plane.admin.post("/api/v1/tokens", json={"name": "t"})).json()
    async with control_plane.client() as client:
        client.cookies.set(name, made["token"])
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_a_disabled_user_is_nobody(control_plane: ControlPlane):
    async with control_plane.user("bob") as bob:
        async with control_plane.database.unit() as unit:
            await unit.connection.execute(
                text("UPDATE users SET disabled_at = now() WHERE name = 'bob'")
            )
        control_plane.parts.guard.forget()
        assert (await bob.get("/api/v1/me")).status_code == 401


async def test_use_is_written_down(control_plane: ControlPlane):
    await control_plane.admin.get("/api/v1/me")
    task = asyncio.create_task(
        control_plane.parts.guard.write_down_use(control_plane.database, every=0.05)
    )
    try:
        async with asyncio.timeout(10):
            while True:
                (token,) = (await control_plane.admin.get("/api/v1/tokens")).json()["items"]
                if token["last_used_at"]:
                    break
                await asyncio.sleep(0.05)
    finally:
        task.cancel()


async def test_use_is_written_down_after_the_database_was_away(
    control_plane: ControlPlane, test_database: TestDatabase
):
    there = asyncio.Event()
    asked = 0

    def conninfo() -> str:
        nonlocal asked
        asked += 1
        return test_database.conninfo if there.is_set() else "host=/nowhere"

    database = Database(conninfo)
    writing = asyncio.create_task(control_plane.parts.guard.write_down_use(database, every=0.05))
    try:
        await control_plane.admin.get("/api/v1/me")
        while not asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        there.set()
        async with asyncio.timeout(5):
            while not (await control_plane.admin.get("/api/v1/tokens")).json()["items"][0][
                "last_used_at"
            ]:
                await asyncio.sleep(0.05)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await database.close()


async def test_the_administrators_token_is_renewed_when_it_is_worth_nothing(
    control_plane: ControlPlane,
):
    file = control_plane.settings.secrets / "admin-token"
    before = file.read_text()
    await administrator.ensure(control_plane.database, "admin", file)
    assert file.read_text() == before
    file.write_text("nonsense")
    await administrator.ensure(control_plane.database, "admin", file)
    async with control_plane.database.reading() as unit:
        principal = await service.authenticate(unit, file.read_text().strip())
    assert principal.is_admin
    assert file.stat().st_mode & 0o777 == 0o600
