"""A desktop is stopped through its gate, and comes back behind the same gate."""

import asyncio
import tempfile
from pathlib import Path

from porthole_contract.stream import control
from tests.support.desktop_pair import DesktopPair, a_stream


async def test_a_desktop_is_stopped_by_order_and_comes_back_behind_its_gate() -> None:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        pair = DesktopPair(Path(folder))
        try:
            pair.start_gate()
            pair.start_desktop()
            await asyncio.to_thread(pair.wait_healthy)
            await stop_and_start(pair)
        finally:
            await pair.close_streams()
            await asyncio.to_thread(pair.stop)


async def stop_and_start(pair: DesktopPair) -> None:
    name = a_stream()
    client, commander = await pair.view(stream=name), await pair.control()
    await client.refresh()
    observer = await pair.control("observe")
    assert (await commander.order(control.StopDesktop)).error is None
    # Told before anything is stopped, and so maybe before the order counts as carried out.
    closed = await observer.closed()
    assert (closed.viewer.stream, closed.reason) == (name, "session_ended")
    assert pair.supervisor is not None
    assert await asyncio.to_thread(pair.supervisor.wait, 10) == 0
    assert (await commander.state(lambda state: not state.drawn)).stopping
    assert (await asyncio.to_thread(pair.health))[0] == 503
    refused = await commander.order(control.StopDesktop)
    assert refused.error == "desktop_unreachable"

    pair.start_desktop()
    state = await commander.state(lambda state: state.drawn, seconds=20)
    assert not state.stopping
    again = await pair.view()
    await again.refresh()
    again.close()
