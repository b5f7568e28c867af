"""Five users at once on one cluster: none notices the others, and no desktop reaches what is not
its own."""

import asyncio
import time
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from e2e.support.colleague import Colleague, paste, work
from e2e.support.installed import Installed
from porthole_client import NotFound

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]

USERS = ("ada", "ben", "cleo", "dan", "eva")


async def test_five_users_work_at_once_and_none_meets_another(installed: Installed):
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        users = [await enter(Colleague.of(installed, name)) for name in USERS]
        begun = time.monotonic()
        sessions = await asyncio.gather(*(user.begin(f"of-{user.name}") for user in users))
        print(f"five sessions run {time.monotonic() - begun:.1f} s after they were asked for")
        desktops = [installed.desktop(session.name) for session in sessions]
        async with AsyncExitStack() as windows:
            seen = [
                await windows.enter_async_context(user.looking(session))
                for user, session in zip(users, sessions, strict=True)
            ]
            begun = time.monotonic()
            await asyncio.gather(
                *(
                    work(window, desktop, user.name, 5)
                    for window, desktop, user in zip(seen, desktops, users, strict=True)
                )
            )
            print(f"each typed five commands within {time.monotonic() - begun:.1f} s")
            await asyncio.gather(
                *(
                    paste(window, desktop, f"a secret of {user.name}")
                    for window, desktop, user in zip(seen, desktops, users, strict=True)
                )
            )
            for user, desktop, window in zip(users, desktops, seen, strict=True):
                typed = set((desktop.read("all") or "").split())
                assert typed == {f"{user.name}-{number}" for number in range(5)}, "input"
                others = [desktop.read(name) for name in USERS if name != user.name]
                assert others == [None] * 4, "files"
                heard = {text for text in window.clipboard if "a secret of" in text}
                assert heard <= {f"a secret of {user.name}"}, "clipboard"
            await each_sees_their_own(users)
        limits = installed.pod("of-ada")["spec"]["containers"][0]["resources"]["limits"]
        assert limits["memory"] == "2Gi"

        # Two go, two others come, and those who stay notice neither.
        stayed = installed.pod("of-eva")["metadata"]["uid"]
        async with users[4].looking(sessions[4]) as window:
            await asyncio.gather(users[0].end(sessions[0]), users[1].end(sessions[1]))
            again = await asyncio.gather(users[0].begin("ada-again"), users[1].begin("ben-again"))
            await work(window, desktops[4], "later", 2)
        for session in again:
            desktop = installed.desktop(session.name)
            assert desktop.read("all") is None, "files of the session before"
        pod = installed.pod("of-eva")
        assert pod["metadata"]["uid"] == stayed
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


async def each_sees_their_own(users: list[Colleague]) -> None:
    """Nobody finds another's session by its id, nor in a list, nor may look at it."""
    for user, other in pairwise(users):
        foreign = other.sessions[0]
        listed = {session.id for session in await user.porthole.sessions.list()}
        assert listed == {session.id for session in user.sessions}
        with pytest.raises(NotFound):
            await user.porthole.sessions.get(foreign.id)
        with pytest.raises(NotFound):
            await user.porthole.sessions.ticket(foreign.id)
        with pytest.raises(NotFound):
            await user.porthole.sessions.change(foreign.id, desired="Hibernated")
