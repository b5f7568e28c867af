"""Many desktops side by side: each types its number, and a picture of each is kept.

python many.py [HOW MANY] [TEMPLATE]
"""

import asyncio
import sys
from pathlib import Path

from porthole_client import AsyncPorthole

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 20
TEMPLATE = sys.argv[2] if len(sys.argv) > 2 else "desktop"


async def one(porthole: AsyncPorthole, number: int) -> None:
    """Use one desktop, and end it."""
    async with porthole.sessions.running(TEMPLATE, patience=600) as session:
        desktop = porthole.desktop(session)
        await desktop.wait_window("user@", within=60)  # the prompt of its terminal
        await desktop.type(f"echo I am number {number}\n")
        await desktop.wait_still(quiet=0.5)
        Path(f"desktop-{number}.png").write_bytes(await desktop.screenshot(width=640))


async def main() -> None:
    """Use all of them at once; those that find no room wait for it."""
    async with AsyncPorthole() as porthole, asyncio.TaskGroup() as group:
        for number in range(COUNT):
            group.create_task(one(porthole, number))


asyncio.run(main())
