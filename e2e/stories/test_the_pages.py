"""Every page of the console, by day, by night and on a phone, with something to show on it."""

import asyncio

import pytest
from playwright.async_api import Page

from e2e.support.console import Console, chromium
from e2e.support.instance import Instance
from e2e.support.viewers import api, create, until_phase
from porthole_client import AsyncPorthole

PAGES = ("sessions", "homes", "agents", "commands", "tokens", "status")
SIZES = {"wide": (1280, 800), "phone": (390, 844)}


@pytest.mark.timeout(240)
async def test_the_pages(instance: Instance) -> None:
    async with api(instance.url, instance.admin_token()) as client, chromium() as browser:
        running = await create(client, template="desktop", home="work", name="today")
        asleep = await create(client, template="desktop", name="yesterday", desired="Running")
        assert (
            await client.patch(
                f"/sessions/{asleep}",
                json={"desired": "Hibernated"},
                headers={"Content-Type": "application/merge-patch+json"},
            )
        ).status_code == 202
        await until_phase(client, asleep, "Hibernated", within=30)
        for scheme in ("light", "dark"):
            for size, pixels in SIZES.items():
                async with AsyncPorthole(instance.url, instance.admin_token()) as porthole:
                    link = await porthole.people.sign_in_link()
                me = await Console.open(browser, f"{scheme}-{size}", pixels, color_scheme=scheme)
                await me.page.goto(f"{instance.url}/#/sign-in")
                await me.page.get_by_test_id("sign-in-form").wait_for()
                await _is_whole(me, "sign-in")
                # Another fragment alone would be no new page.
                await me.page.goto("about:blank")
                await me.sign_in(link.url)
                for page in PAGES:
                    await me.page.goto(f"{instance.url}/#/{page}")
                    if (page, size) == ("sessions", "wide"):
                        await me.page.locator(f"[data-session='{running}'] img").wait_for()
                    await _is_whole(me, page)
                await me.page.goto(f"{instance.url}/#/sessions/{running}")
                await me.until_state("open", within=15)
                await me.press("details")
                await _is_whole(me, "session")
                await me.page.goto(f"{instance.url}/#/sessions/{asleep}")
                await me.page.get_by_test_id("wake").wait_for()
                await _is_whole(me, "asleep")
                assert me.failures == []
                await me.page.context.close()
        for session in (running, asleep):
            assert (await client.delete(f"/sessions/{session}")).status_code == 202
            await until_phase(client, session, "Terminated", within=30)


async def _is_whole(me: Console, name: str) -> None:
    """Check that the page has come to rest and does not run over its edge."""
    await _rests(me.page)
    await me.shoot(name)
    inside = "() => document.documentElement.scrollWidth <= innerWidth"
    assert await me.page.evaluate(inside), f"{name} is wider than its window"


async def _rests(page: Page) -> None:
    """Wait until nothing moves (what turns for ever aside) and nothing is still being read."""
    still = """() => document.querySelector('.skeleton') === null
        && !document.getAnimations().some((one) => one.effect.getTiming().iterations < 9)"""
    await asyncio.sleep(0.2)
    await page.wait_for_function(still)
