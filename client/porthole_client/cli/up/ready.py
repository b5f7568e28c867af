"""When a part is ready, and what has to be arranged before the next one.

Each check returns an empty sentence, or one that says what is missing still.
"""

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import httpx

from porthole_client.cli.exits import Failure
from porthole_client.cli.up.keeper import Keeper
from porthole_client.clients import AsyncPorthole
from porthole_client.errors import ClientError, NotFound
from porthole_client.home import Home, read_json
from porthole_client.steps import Retry

Check = Callable[[Keeper], Awaitable[str]]

PATIENCE = 120.0  # seconds for one part to become ready
STARTS = 5  # starts after which a part that ends again and again is given up
_SETTLING = 1.5  # seconds in which a part that cannot work says so and ends
AGENT_NAME = "local"
"""What the agent of the machine that `up` runs on is called."""


async def postgres(keeper: Keeper) -> str:
    """Check that the database has said that it is ready."""
    return "" if keeper.said("ready") else "it is not ready to be connected to"


async def control_plane(url: str) -> str:
    """Check that the API answers and its database is up to date."""
    async with httpx.AsyncClient(timeout=5) as http:
        try:
            answer = await http.get(f"{url}/readyz")
        except httpx.TransportError:
            return "it does not answer"
    return "" if answer.is_success else "its database is not ready"


@asynccontextmanager
async def administrator(home: Home, url: str) -> AsyncIterator[AsyncPorthole]:
    """Yield a client with the administrator's token of this home.

    Raises:
        Failure: there is no such token.
    """
    try:
        token = home.admin_token.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Failure(f"{home.admin_token} cannot be read: {error.strerror}.") from None
    async with AsyncPorthole(url, token, retry=Retry(times=2)) as porthole:
        yield porthole


async def enrol(home: Home, url: str, porthole: AsyncPorthole) -> None:
    """See to it that this machine's agent may link: it joins if it is not known here.

    Raises:
        Failure: it could not join.
    """
    known = read_json(home.agent / "identity.json")
    if known.get("agent"):
        try:
            await porthole.agents.get(str(known["agent"]))
        except NotFound:  # revoked, or this is another database: its key is worth nothing
            for name in ("identity.json", "key"):
                (home.agent / name).unlink(missing_ok=True)
        else:
            return
    token = await porthole.agents.join_token(await _free_name(porthole))
    # Without the fingerprint behind the dot: on this machine there is no TLS to check.
    await join(home, url, token.token.partition(".")[0])


async def join(home: Home, url: str, token: str) -> None:
    """Have this machine's agent join; the token reaches it through a pipe.

    Raises:
        Failure: it could not.
    """
    joining = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "porthole_agent", "enrol", url),
        env={**os.environ, "PORTHOLE_HOME": str(home.path)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, words = await joining.communicate(f"{token}\n".encode())
    if joining.returncode:
        raise Failure(f"This machine could not join: {words.decode().strip()}")


async def _free_name(porthole: AsyncPorthole) -> str:
    """Return what to call this machine's agent: an earlier one may still have the name."""
    taken = {one.name for one in await porthole.agents.list()}
    numbered = (f"{AGENT_NAME}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain((AGENT_NAME,), numbered) if name not in taken)


async def agent(home: Home, porthole: AsyncPorthole, since: datetime) -> str:
    """Check that this machine's agent is linked and has a template on offer.

    Args:
        home: where the agent keeps who it is.
        porthole: the administrator's client.
        since: when the agent was started; a link from before is that of its predecessor.
    """
    known = read_json(home.agent / "identity.json").get("agent")
    try:
        agents = await porthole.agents.list()
        templates = await porthole.templates.list()
    except ClientError as error:
        return str(error)
    links = [one.linked_at for one in agents if str(one.id) == known and one.linked]
    if not any(link is not None and link >= since for link in links):
        return "it is not linked"
    if not any(template.available for template in templates):
        return next((one.message for one in templates), "it has no template on offer")
    return ""


async def started(_keeper: Keeper) -> str:
    """Take a part as ready that has been started; what it does next, others see."""
    await asyncio.sleep(_SETTLING)
    return ""
