"""What bare WebSockets cost: a server that accepts them and does nothing. `python -m bench.bare`.

It prints the port of 127.0.0.1 that it listens on, and ends with its standard input.
"""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, serve


async def _nothing(socket: ServerConnection) -> None:
    await socket.wait_closed()


async def _serve() -> None:
    async with serve(_nothing, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
