"""What stands on somebody's keys is what they write, over VNC and over RDP.

A real keyboard layout on a real screen: the console proposes it for the session, and RDP, which
sends keys by their place, finds it there.
"""

import asyncio
import re
from functools import partial

import pytest

from e2e.support.console import until_holds
from e2e.support.desk import at_a_desk
from e2e.support.instance import Instance
from e2e.support.outside import Desktop
from e2e.support.viewers import api

WRITTEN = "zyZY äöüÄÖÜß -_#'+* §$%&/()=? "
"""None of these lies where an American keyboard has it."""
THIRD = {"@": "q", "{": "7", "[": "8", "]": "9", "}": "0", "\\": "ssharp", "|": "less", "€": "e"}
"""What AltGr writes, and with which key. Tools that type press another AltGr, which no keyboard
has; so it is pressed by its code."""
ALT_GR = "108"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("template", ["desktop", "rdp"])
async def test_keys_write_what_stands_on_them(instance: Instance, template: str) -> None:
    async with (
        at_a_desk(f"keyboards-{template}", layout="de") as (me, mine),
        api(instance.url, instance.admin_token()) as admin,
    ):
        await me.sign_in(instance.another_link())
        card = me.page.locator("article", has=me.page.get_by_test_id(f"new-session-{template}"))
        await card.get_by_label(re.compile("^Options")).click()
        assert await me.page.get_by_label("Keyboard").input_value() == "de"
        await me.shoot("1-proposed")
        await me.page.get_by_role("button", name="Cancel").click()
        session = await me.new_session(template)
        await me.until_state("open", within=60)
        assert (await admin.get(f"/sessions/{session}")).json()["spec"]["keyboard"] == "de"
        desktop = Desktop.of(session)
        await me.canvas.click()
        write = partial(asyncio.to_thread, mine.type)
        await write("cat > written\n")
        await until_holds(desktop, "written", "")
        await write(WRITTEN)
        held = ("keydown", ALT_GR, "key", *THIRD.values(), "keyup", ALT_GR)
        await asyncio.to_thread(mine.xdotool, *held)
        await asyncio.to_thread(mine.press, "Return", "ctrl+d")
        await until_holds(desktop, "written", f"{WRITTEN}{''.join(THIRD)}\n")
        await me.shoot("2-written")
        instance.porthole("session", "delete", session, "--wait")
