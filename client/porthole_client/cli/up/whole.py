"""All of Porthole on one machine: the database, the control plane, this machine's agent."""

from collections.abc import Callable
from datetime import UTC, datetime

from porthole_client.cli.up import plan, ready
from porthole_client.cli.up.instance import Instance
from porthole_client.home import Home, write_json
from porthole_client.models import SignInLink


async def start(
    instance: Instance,
    home: Home,
    *,
    port: int,
    listen: str | None,
    opened: Callable[[SignInLink], None],
) -> None:
    """Start everything and call `opened` with a link that signs in.

    Raises:
        Failure: a part did not come up.
    """
    url = f"http://127.0.0.1:{port}"
    await instance.bring_up(plan.postgres(home), ready.postgres)
    await instance.bring_up(
        plan.control_plane(home, port, listen), lambda _: ready.control_plane(url)
    )
    write_json(home.server, {"url": url})
    async with ready.administrator(home, url) as porthole:
        await ready.enrol(home, url, porthole)
        since = datetime.now(UTC)
        part = plan.agent(home, url, instance.life)
        await instance.bring_up(part, lambda _: ready.agent(home, porthole, since))
        opened(await porthole.people.sign_in_link())
