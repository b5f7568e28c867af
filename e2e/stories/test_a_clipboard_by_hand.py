"""A browser that keeps its clipboard to itself: text goes both ways by the panel."""

import asyncio
from collections.abc import Callable

import pytest

from e2e.support.console import Console, chromium, eventually
from e2e.support.instance import Instance

TEXT = "Grüße, 世界 → 'quoted' $HOME"
BACK = f"{TEXT}, and back"
Run = Callable[..., str]
_NO_CLIPBOARD = "Object.defineProperty(Navigator.prototype, 'clipboard', {value: undefined})"
"""As where a page came over plain HTTP."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("template", ["desktop", "rdp"])
async def test_a_clipboard_by_hand(instance: Instance, template: str) -> None:
    async with chromium() as browser:
        context = await browser.new_context()
        context.set_default_timeout(15_000)
        await context.add_init_script(_NO_CLIPBOARD)
        me = Console(await context.new_page(), f"clipboard-{template}")
        async with me.shot_if_it_fails():
            await me.sign_in(instance.another_link())
            session = await me.new_session(template)
            await me.until_state("open", within=60)

            def run(line: str, *words: str) -> str:
                shell = ("--", "sh", "-c", line, "sh", *words)
                return instance.porthole("session", "exec", session, *shell)

            await _goes_there(me, run)
            await _comes_back(me, run)
            await me.shoot("1-panel")
            instance.porthole("session", "delete", session, "--wait")
        assert me.failures == []


async def _goes_there(me: Console, run: Run) -> None:
    await me.press("clipboard")
    panel = me.page.get_by_test_id("clipboard-panel")
    await panel.get_by_text("Paste here, then send it to the desktop.").wait_for()
    # Nothing is offered that cannot be.
    assert await panel.get_by_text("Keep both clipboards in step").count() == 0
    await panel.get_by_role("textbox").fill(TEXT)
    await me.press("clipboard-send")
    await panel.get_by_text("On the desktop's clipboard.").wait_for()
    await me.press("clipboard")

    async def is_there() -> bool:
        return await asyncio.to_thread(run, "xclip -selection clipboard -o || true") == TEXT

    await eventually(is_there, 10, "the text on the desktop's clipboard")


async def _comes_back(me: Console, run: Run) -> None:
    await asyncio.to_thread(run, 'printf %s "$1" | xclip -selection clipboard', BACK)
    await me.press("clipboard")
    field = me.page.get_by_test_id("clipboard-panel").get_by_role("textbox")

    async def is_shown() -> bool:
        return await field.input_value() == BACK

    await eventually(is_shown, 10, "what was copied there")
